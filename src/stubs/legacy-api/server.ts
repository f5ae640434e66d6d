import { runStub } from '../serve.ts';
import { createLegacyApi } from './application.ts';
import { directoryBodies, generatedBodies } from './bodies.ts';
import { HELP, parseOptions } from './options.ts';

await runStub({
  name: 'legacy-api',
  standsFor: 'the legacy API',
  help: HELP,
  parse: parseOptions,
  create: async ({ seed, sizes, from, behaviour }) => {
    const bodies = from === undefined ? generatedBodies(seed, sizes) : await directoryBodies(from);
    return createLegacyApi(seed, bodies, behaviour);
  },
});
