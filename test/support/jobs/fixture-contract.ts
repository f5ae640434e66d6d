import { z } from 'zod';
import { type ChunkPolicy, chunkStep, defineJob, taskletStep } from 'keystride';

/** Tells nothing about which instance a run belongs to: a restart may change it. */
const setting = <Schema extends z.ZodType>(schema: Schema) => schema.meta({ identifying: false });

/** The errors that a script can raise; see `fixture-errors.ts`. */
export const scriptedErrors = [
  'scripted',
  'child',
  'other',
  'programming',
  'memory',
  'reset',
  'constraint',
  'odd',
] as const;

/** One failure, as told. */
const fault = z.object({
  /** `page` fails the read of the page that holds the item, `onSkip` the hook that is told of its skip. */
  phase: z.enum(['read', 'page', 'process', 'write', 'onSkip', 'beforeStep', 'afterStep']),
  /** The item, from 1; 0 for the step itself. */
  item: z.int(),
  error: z.enum(scriptedErrors).default('scripted'),
  /** How often it fails before it succeeds; for ever when left out. A read fails for ever. */
  times: z.int().min(1).optional(),
  /** How many errors are wrapped around it. */
  depth: z.int().min(0).default(0),
  step: z.string().default('items'),
});

export type Fault = z.output<typeof fault>;

/** What the fixture does with its items, all of it told by the parameters of a run. */
const script = {
  /** Names the run: the instance, and its rows in the fixture's tables. */
  run: z.string(),
  date: z.iso.date().default('2025-10-01'),
  items: setting(z.int().min(0).default(5)),
  faults: setting(z.array(fault).default([])),
  /** Items that the processor leaves out. */
  filtered: setting(z.array(z.int()).default([])),
  /** Items whose processor, or whose writer inside the transaction, waits for its row in `fixture_hold` to go. */
  heldInProcessor: setting(z.array(z.int()).default([])),
  heldInWriter: setting(z.array(z.int()).default([])),
  /** What waits for item 0 of `fixture_hold` to go: the plan of a chunk step, or the first tasklet of a flow. */
  heldIn: setting(z.enum(['plan', 'tasklet']).optional()),
  /** An item whose writer swallows an error of its transaction. */
  swallowedAt: setting(z.int().default(0)),
  /** Items that the writer finds to be written already: with this it counts what it writes. */
  alreadyThere: setting(z.array(z.int()).optional()),
  /** What the writer adds to its count. */
  miscount: setting(z.int().default(0)),
  itemMilliseconds: setting(z.int().min(0).default(0)),
  /** Called with every item; 429 and 503 are errors of the product's own kind. */
  apiUrl: setting(z.url().optional()),
  /** The reader gives all items one key, as an API does that repeats itself. */
  oneKey: setting(z.boolean().default(false)),
  skipPolicy: setting(z.enum(['none', 'scripted', 'throws']).default('none')),
  /** What is kept of an item that is skipped: some of it, more than fits, or an error. */
  keepItem: setting(z.enum(['none', 'some', 'much', 'throws']).default('none')),
  chunkSize: setting(z.int().min(1).default(2)),
  concurrency: setting(z.int().min(1).default(1)),
  partitions: setting(z.int().min(1).default(1)),
  window: setting(z.int().min(1).default(8)),
  splitAfterSeconds: setting(z.number().min(0).default(30)),
  pageSeconds: setting(z.number().min(0.1).default(10)),
  durableEvery: setting(z.enum(['chunk', 'page']).default('chunk')),
  skipLimit: setting(z.int().min(0).default(2)),
  skipCodes: setting(z.array(z.string()).default(['ScriptedError'])),
  skipExcept: setting(z.array(z.string()).default([])),
  skipRate: setting(z.object({ share: z.number(), afterItems: z.int() }).optional()),
  retries: setting(z.int().min(0).default(0)),
  retryCodes: setting(z.array(z.string()).default([])),
  startLimit: setting(z.int().min(1).optional()),
  allowStartIfComplete: setting(z.boolean().default(false)),
};

const scriptParameters = z.object(script);

/** A script as the steps see it. */
export type Script = z.output<typeof scriptParameters>;

/** A script as a test gives it. */
export type ScriptInput = z.input<typeof scriptParameters>;

function policyOf(told: Script): Partial<Omit<ChunkPolicy, 'kind'>> {
  const { chunkSize, concurrency, partitions, window, splitAfterSeconds, pageSeconds, skipLimit } = told;
  return {
    ...{ chunkSize, concurrency, partitions, window, splitAfterSeconds, pageSeconds, skipLimit },
    durableEvery: told.durableEvery,
    ...(told.startLimit === undefined ? {} : { startLimit: told.startLimit }),
    allowStartIfComplete: told.allowStartIfComplete,
    retry: { retries: told.retries, initialMs: 5, maximumMs: 50, codes: told.retryCodes },
    skip: {
      codes: told.skipCodes,
      except: told.skipExcept,
      ...(told.skipRate ? { rate: told.skipRate } : {}),
    },
  };
}

/** One chunk step over the items 1 to n that does as it is told. */
export const fixture = defineJob({
  name: 'fixture',
  description: 'Items that fail as told',
  parameters: scriptParameters,
  steps: { items: chunkStep() },
  policies: (told) => ({ items: policyOf(told) }),
});

/** The same, and it must not be restarted. */
export const fixtureOnce = defineJob({
  name: 'fixtureOnce',
  description: 'Items that fail as told, started once',
  parameters: scriptParameters,
  preventRestart: true,
  steps: { items: chunkStep() },
  policies: (told) => ({ items: policyOf(told) }),
});

/** The same over a table whose keys are far from evenly spread. */
export const fixtureTable = defineJob({
  name: 'fixtureTable',
  description: 'The rows of fixture_source',
  parameters: scriptParameters,
  steps: { items: chunkStep() },
  policies: (told) => ({ items: policyOf(told) }),
});

/** The same, and it waits for an operator when it fails. */
export const fixtureHold = defineJob({
  name: 'fixtureHold',
  description: 'Items that fail as told, and hold the job',
  parameters: scriptParameters,
  onFailure: 'hold',
  steps: { items: chunkStep() },
  policies: (told) => ({ items: policyOf(told) }),
});

const flowParameters = z.object({
  ...script,
  flow: setting(
    z
      .enum([
        'inOrder',
        'branch',
        'loop',
        'again',
        'often',
        'parallel',
        'branches',
        'tolerant',
        'retold',
        'unknown',
        'nested',
        'nestedWrongly',
        'nestedBeside',
      ])
      .default('inOrder'),
  ),
});

type FlowScript = z.output<typeof flowParameters>;

const flowSteps = { prepare: taskletStep(), items: chunkStep(), more: chunkStep(), finish: taskletStep() };

const flowPolicies = (told: FlowScript) => ({
  prepare: { allowStartIfComplete: told.allowStartIfComplete },
  items: policyOf(told),
  more: { ...policyOf(told), allowStartIfComplete: false },
});

/** Several steps, in the order that `flow` names. */
export const fixtureFlow = defineJob({
  name: 'fixtureFlow',
  description: 'Steps that fail as told, in several flows',
  parameters: flowParameters,
  steps: flowSteps,
  policies: flowPolicies,
});

/** The same, whose branches finish what they have begun when one of them fails. */
export const fixtureFinish = defineJob({
  name: 'fixtureFinish',
  description: 'Steps that fail as told, each branch to the end of its step',
  parameters: flowParameters,
  onBranchFailure: 'finish',
  steps: flowSteps,
  policies: flowPolicies,
});
