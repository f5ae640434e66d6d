import path from 'node:path';

// Commands run in the processes of the tests too, as if a shell had called `keystride`: hints say it so, and without colours.
process.argv[1] = path.join(import.meta.dirname, '../../packages/keystride/src/cli/main.ts');
delete process.env['npm_lifecycle_event'];
process.env['NO_COLOR'] = '1';
