import { runWorker } from 'keystride/worker';

await runWorker(new URL('./keystride.config.ts', import.meta.url));
