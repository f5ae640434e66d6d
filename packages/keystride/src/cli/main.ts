#!/usr/bin/env node
import { keepCompiledCode } from './compiled-code.ts';

// Whoever reads our output may have seen enough: `keystride --help | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
keepCompiledCode();
// Loaded from here on, so that its compiled code is kept too.
const { runCommand } = await import('./run-command.ts');
await runCommand(process.argv.slice(2));
