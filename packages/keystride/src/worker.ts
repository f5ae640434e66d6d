/** The worker process: what it works with, and its life. */
export {
  defineResource,
  defineWorker,
  type Opened,
  type Resource,
  type ResourceContext,
  type ValuesOf,
  type Variables,
  type WorkerDefinition,
} from './project/worker-definition.ts';
export { runWorker } from './host/start-worker.ts';
export { httpUrl, mongodbUrl, numberOfCalls, postgresUrl, sizeInBytes } from './settings/environment.ts';
