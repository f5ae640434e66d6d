import { redrive, redriveKey, type RedriveInput } from '../contract/redrive.ts';
import { countRedrives, type RunningExecution, runningExecutions } from '../ledger/executions.ts';
import type { Asked } from '../ledger/ledger.ts';
import { countByStatus, type SkipStatus } from '../ledger/skip-list.ts';
import { authorOf } from './author.ts';
import { type Session, withSession } from './connection.ts';
import { shellWord } from '../contract/shell.ts';
import { count } from './format.ts';
import { CommandError, printJson, printLine, progressLine } from './output.ts';
import type { SkipsOptions } from './skips.ts';
import { findInstance, firstAlive, refuseUnknownKeys, stillRunning, withLedger } from './skips-ledger.ts';
import { announce, startRun, untilOpened } from './start.ts';
import { reportEnd } from './status.ts';
import { watchOrDetach } from './watch.ts';
import { keystride } from './called-as.ts';

/** What the ledger says before a redrive. Its own claim decides; this is to refuse without a failed run in the lists. */
interface Prospect {
  readonly instance: string;
  readonly counts: Readonly<Record<SkipStatus, number>>;
  readonly running: readonly RunningExecution[];
  /** The key that the redrive will have. */
  readonly redriveKey: string;
}

/** `keystride skips ID redrive`: runs the open skips again, as a run of its own. */
export async function redriveSkips(id: string, options: SkipsOptions): Promise<void> {
  const prospect = await withLedger((ledger) => look(ledger, id, options));
  await withSession((session) => start(session, prospect, options));
}

async function look(ledger: Asked, id: string, options: SkipsOptions): Promise<Prospect> {
  const instance = await findInstance(ledger, id);
  await refuseUnknownKeys(ledger, instance, options);
  return {
    instance,
    counts: await countByStatus(ledger, instance, options),
    running: await runningExecutions(ledger, instance),
    redriveKey: redriveKey(instance, (await countRedrives(ledger, instance)) + 1),
  };
}

function nothingOpen({ instance, counts }: Prospect): CommandError {
  const settled = `${count(counts.redriven)} redriven, ${count(counts.waived)} waived`;
  return new CommandError(
    {
      what: `nothing to redrive: no skip of ${instance} that is asked for is open (${settled})`,
      todo: `See which skips there are: ${keystride} skips ${shellWord(instance)} list`,
    },
    { type: 'NothingToRedrive', details: { instance } },
  );
}

async function start(session: Session, prospect: Prospect, options: SkipsOptions): Promise<void> {
  const { instance, counts, redriveKey: workflowId } = prospect;
  const alive = await firstAlive(session.client, prospect.running);
  if (alive) throw stillRunning(alive);
  if (counts.open === 0) throw nothingOpen(prospect);
  const { fingerprint, key, step } = options;
  const input: RedriveInput = {
    instance,
    ...(step !== undefined && { step }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(key !== undefined && { keys: [...key] }),
  };
  const started = await startRun(session, {
    ...{ job: redrive, input, instance: workflowId, workflowId, author: authorOf(options) },
    // An instance begins with its job.
    queuedAs: instance.split(':', 1)[0] ?? instance,
  });
  const opened = await untilOpened(session, started);
  const print = options.output === 'text' ? printLine : progressLine;
  print(`redriving ${count(counts.open)} of the skips of ${instance}`);
  announce(started, print);
  if (!opened)
    progressLine(`no worker polls task queue ${started.taskQueue}; it waits for one: ${keystride} worker`);
  if (!options.watch)
    return options.output === 'json'
      ? printJson({ ...started, redrives: instance, items: counts.open })
      : undefined;
  const ended = await watchOrDetach(session.client, started.workflowId, options.output);
  if (ended) await reportEnd(ended.progress, options.output);
}
