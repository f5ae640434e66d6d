/** Every measurement, by the name that `npm run bench -- NAME` and the JSON know it by, with what it does. */
export const work = {
  purchase: 'purchaseConfirmation, 1,000,000 orders, item by item in TypeScript',
  medicationSet: 'medicationHistory, 1,000,000 rows, as a set step',
  medicationItems: 'medicationHistory, 1,000,000 rows, item by item in TypeScript',
  migration: 'documentMigration, 1,000 documents, API at 1 s, 250 calls in flight',
  migrationWithFailures: 'the same with documents answering 404, 400 and 422',
  sync: 'targetSync, 1,000,000 rows from one database to another, upsert',
  log: 'a change in the source until it is in the sink, 500 transactions a second, mode=log',
  logCopy: 'the first copy of 1,000,000 rows while 500 transactions a second go on, mode=log',
  logRows: '1,000,000 changed rows from the log of the source into the sink',
  logLarge: 'the same, changed by one transaction',
  verify: '1,000,000 rows of two tables compared, by keystride verify',
  verifyDocuments: '1,000 migrated documents verified, against reading them all',
  noop: 'a job that writes nothing: 1,000,000 items in chunks of 1,000',
  growth: 'purchaseConfirmation with ten times the rows',
  many: '1,000 executions of a job of ten items, started at once',
  history: 'events in Temporal for 1,000,000 rows, of all workflows of a run',
  encryption: 'a job that writes nothing, in chunks of 100, payloads encrypted',
  idle: 'processor time of a worker without work, in 20 s',
  idleSync: 'the same with a continuous sync in whose source nothing changes',
  start: 'from the start of a worker process to its first committed chunk',
} as const;

/** The name of a measurement. */
export type Key = keyof typeof work;

export const keys = Object.keys(work) as Key[];
