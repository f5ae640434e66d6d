import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandsOf, readGuides } from '../support/guides.ts';
import { createWorld, type World } from '../support/stack.ts';

/** Every guide's commands, run in their order, as the reader's shell would; the exit codes must be those that it tells. */
let world: World;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'keystride-guides-'));
  const program = path.join(import.meta.dirname, '../../packages/keystride/src/cli/main.ts');
  const command = path.join(directory, 'keystride');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  chmodSync(command, 0o755);
  world = await createWorld({ legacyApi: ['--latency=50'] });
  await world.startWorker();
});

afterAll(async () => {
  await world?.dispose();
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a command line in a shell that knows `keystride`. */
async function shell(text: string): Promise<{ exitCode: unknown; output: string }> {
  const child = spawn('/bin/sh', ['-c', text], {
    cwd: directory,
    env: { ...world.environment, NO_COLOR: '1', PATH: `${directory}:${process.env['PATH']}` },
    timeout: 90_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (output += part));
  const [exitCode] = (await once(child, 'close')) as unknown[];
  return { exitCode, output };
}

const guides = readGuides().map((guide) => [guide.file, guide] as const);

test.for(guides)('%s', { timeout: 300_000 }, async ([file, { commands }]) => {
  expect(commands.length, 'commands to run').toBeGreaterThan(0);
  for (const { text, line, exitCode } of commands) {
    const ended = await shell(text);
    expect(ended.exitCode, `${file}:${line}: ${text}\n${ended.output}`).toBe(exitCode);
  }
});

test('the commands of a guide are the lines with a prompt, whatever stands between them', () => {
  const guide = [
    '```sh',
    'npx keystride dev --detach',
    '```',
    '```sh',
    '$ keystride jobs',
    'evenNumbers  Write …',
    '$ keystride start evenNumbers --param from=1 \\',
    "    --param 'to=2' --watch  # exits with 3",
    '```',
    '```ts',
    '$ keystride nothing',
    '```',
  ].join('\n');
  expect(commandsOf(guide)).toEqual([
    { text: 'keystride jobs', line: 5, exitCode: 0 },
    { text: "keystride start evenNumbers --param from=1 --param 'to=2' --watch", line: 7, exitCode: 3 },
  ]);
  expect(() => commandsOf('```sh\n$ rm -rf build\n```')).toThrow('line 2: only keystride is run here');
});
