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
} from './host/worker-definition.ts';
export { runWorker } from './host/start-worker.ts';
export { bytes, httpUrl, mongodbUrl, numberOfCalls, postgresUrl } from './settings/environment.ts';
