import { runWorker } from './start-worker.ts';

/** A worker of the project that the working directory, or `KEYSTRIDE_CONFIG`, names: run as a program of its own. */
await runWorker();
