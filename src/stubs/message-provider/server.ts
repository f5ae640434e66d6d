import { runStub } from '../serve.ts';
import { createMessageProvider } from './application.ts';
import { HELP, parseOptions } from './options.ts';

await runStub({
  name: 'message-provider',
  standsFor: 'a message provider',
  help: HELP,
  parse: parseOptions,
  create: ({ seed, behaviour }) => createMessageProvider(seed, behaviour),
});
