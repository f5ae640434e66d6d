/**
 * Real parts for tests and for commands of one's own: a stack of servers and workers that ends with its process; and the
 * world that a test has to itself, whatever framework runs it. For vitest see `keystride/testing/vitest`.
 */
export { detachStack, stopStack } from './dev/detach.ts';
export { PartError, type Part } from './dev/part.ts';
export { reachableDirectory, unprivilegedUser } from './dev/places.ts';
export { progressText, reporterOf, type OnProgress } from './dev/progress.ts';
export { startStack, type Stack, type StackInfo, type StackOptions } from './dev/stack.ts';
export { isRunning, readState, type StackState } from './dev/state.ts';
export type { KnownAddresses } from './settings/stack-addresses.ts';
export {
  createWorld,
  type OwnServers,
  type WorkerChoice,
  type World,
  type WorldOptions,
} from './testing/world.ts';
export { startTestServers, type RunningServers, type TestServers } from './testing/servers.ts';
export { startTestWorker, type OnStarted, type TestWorker } from './testing/worker.ts';
export { startTimeSkippingServer, type TimeSkippingServer } from './testing/time-skipping-server.ts';
export { waitFor, type WaitOptions } from './testing/wait-for.ts';
export type { Books, StepBooks } from './ledger/books.ts';
