/** Real parts for tests and for commands of one's own: a stack of servers and workers that ends with its process. */
export { detachStack, stopStack } from './dev/detach.ts';
export { PartError, type Part } from './dev/part.ts';
export { reachableDirectory, unprivilegedUser } from './dev/places.ts';
export { progressText, reporterOf, type OnProgress } from './dev/progress.ts';
export { startStack, type Stack, type StackInfo, type StackOptions } from './dev/stack.ts';
export { isRunning, readState, type StackState } from './dev/state.ts';
export type { KnownAddresses } from './settings/stack-addresses.ts';
