import { adaptivity } from './adaptivity.ts';
import { answers } from './answers.ts';
import { connections } from './connections.ts';
import { console } from './console.ts';
import { cursors } from './cursors.ts';
import { fences } from './fences.ts';
import { gates } from './gates.ts';
import { items } from './items.ts';
import { ledger } from './ledger.ts';
import type { Mutation } from './mutation.ts';
import { retention } from './retention.ts';
import { scaleOut } from './scale-out.ts';
import { streams } from './streams.ts';
import { threats } from './threats.ts';
import { told } from './told.ts';
import { transactions } from './transactions.ts';
import { values } from './values.ts';
import { withinTasks } from './within-tasks.ts';
import { workerEnds } from './worker-ends.ts';

/** One for each rule and trap. */
export const mutations: readonly Mutation[] = [
  ...transactions,
  ...fences,
  ...ledger,
  ...items,
  ...cursors,
  ...adaptivity,
  ...gates,
  ...scaleOut,
  ...streams,
  ...workerEnds,
  ...withinTasks,
  ...retention,
  ...console,
  ...threats,
  ...told,
  ...connections,
  ...values,
  ...answers,
];
