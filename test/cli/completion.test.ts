import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { waitFor } from 'keystride/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { candidatesFor } from '../../packages/keystride/src/cli/complete.ts';
import { createWorld, type World } from '../support/stack.ts';
import { keystride } from './support.ts';

const program = path.join(import.meta.dirname, '../../packages/keystride/src/cli/main.ts');
const id = 'evenNumbers:from=1,to=10';
let directory: string;
let world: World;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'keystride-completion-'));
  world = await createWorld();
  await world.start('evenNumbers', { from: 1, to: 10 }, id);
  await waitFor(async () => (await idsFor('status')).includes(id));
});

afterAll(async () => {
  await world?.dispose();
  rmSync(directory, { recursive: true, force: true });
});

/** The words that may come next, as the command prints them, without what they mean. */
async function next(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const { exitCode, stdout, stderr } = await keystride(['complete', '--', ...words], environment);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout.split('\n').flatMap((line) => line.split('\t', 1)[0] || []);
}

const idsFor = (...words: string[]) => next([...words, ''], world.environment);

/** Asked until it answers: on a busy machine Temporal may take longer than anybody waits at a prompt. */
const eventually = (words: readonly string[]) =>
  waitFor(async () => {
    const found = await next(words, world.environment);
    return found.length > 0 && found;
  });

test.each([
  [['st'], ['start', 'status', 'stop']],
  [['demo'], ['demo', 'demo-data']],
  [['schedule', 'un'], ['unpause']],
  [['start', 'even'], ['evenNumbers']],
  [['schedule', 'create', 'point'], ['pointSettlement']],
  [['start', 'evenNumbers', '--wa'], ['--watch']],
  [
    ['start', 'evenNumbers', '--param', ''],
    ['from=', 'to='],
  ],
  [['plan', 'evenNumbers', '-p', 't'], ['to=']],
  [['start', 'targetSync', '--param', 'mode=b'], ['mode=bulk']],
  [['start', 'targetSync', '--param=mode=b'], ['--param=mode=bulk']],
  [
    ['list', '--status', 'comp'],
    ['completed', 'completedWithSkips'],
  ],
  [
    ['list', '-o', ''],
    ['text', 'json'],
  ],
  [['skips', 'some:id', 're'], ['redrive']],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  [['bundle', ''], [':files']],
  [['frobnicate', '--x', 'y'], []],
])('after %j come %j', async (words, expected) => {
  expect((await candidatesFor(words)).map(({ word }) => word)).toEqual(expected);
});

test('commands and options come with what they mean, and those for programs alone are left out', async () => {
  const { stdout } = await keystride(['complete', '--', '']);
  expect(stdout).toMatch(/^status\tsay where a run stands$/mu);
  expect(stdout).not.toMatch(/^complete\t/mu);
  expect((await keystride(['--help'])).stdout).not.toMatch(/^ {2}complete /mu);
});

test('ids are those that Temporal knows, and what it does not tell is left out in silence', async () => {
  expect(await eventually(['status', ''])).toEqual([id]);
  expect(await eventually(['pause', ''])).toEqual([id]);
  expect(await eventually(['stop', 'evenNumbers:f'])).toEqual([id]);
  expect(await next(['stop', 'someOther'], world.environment)).toEqual([]);
  expect(await idsFor('schedule', 'pause')).toEqual([]);
  expect(await next(['status', ''], { ...world.environment, TEMPORAL_ADDRESS: '127.0.0.1:1' })).toEqual([]);
  expect(await next(['status', ''])).toEqual([]);
});

/** What a shell would offer for a line, by its own means. */
const shells: Readonly<Record<string, { readonly words: string[]; readonly ask: (line: string) => string }>> =
  {
    bash: {
      words: ['--norc', '-c'],
      ask: (line) => `
      read -ra COMP_WORDS <<<"$LINE"; COMP_LINE="$LINE"; COMP_POINT=\${#LINE}
      ${line}; _keystride keystride; printf '%s\\n' "\${COMPREPLY[@]}"`,
    },
    zsh: {
      words: ['-f', '-c'],
      ask: (line) => `
      compdef() { : }; _files() { print -- :files }
      _describe() { print -rl -- "\${(@P)2}" }
      ${line}; words=("\${(@z)LINE}"); [[ $LINE == *' ' ]] && words+=(''); CURRENT=$#words; _keystride`,
    },
    fish: { words: ['--no-config', '-c'], ask: (line) => `${line}; complete -C $LINE` },
  };

describe.each(Object.entries(shells))('in %s', (shell, { words, ask }) => {
  const missing = spawnSync(shell, ['-c', 'true']).error !== undefined;

  beforeAll(async () => {
    const { stdout } = await keystride(['completion', shell]);
    writeFileSync(path.join(directory, `keystride.${shell}`), stdout);
    const own = path.join(directory, 'keystride');
    writeFileSync(own, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, { mode: 0o755 });
  });

  /** What is offered behind a line. */
  function offered(line: string): string[] {
    const script = path.join(directory, `keystride.${shell}`);
    const source = shell === 'fish' ? `source ${script}` : `. ${script}`;
    const found = execFileSync(shell, [...words, ask(source)], {
      encoding: 'utf8',
      env: {
        ...world.environment,
        PATH: `${directory}${path.delimiter}${process.env['PATH']}`,
        HOME: directory,
        LINE: line,
      },
      // What a shell says when something of its own is missing is of no interest to the test.
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // zsh is given a word and what it means with a colon between, and colons of the word behind a backslash.
    const means = shell === 'zsh' ? /(?<!\\):.*$/u : /\t.*$/u;
    return found.split('\n').flatMap((each) => each.replace(means, '').replaceAll(String.raw`\:`, ':') || []);
  }

  const waitForIds = (line: string) =>
    waitFor(() => {
      const found = offered(line);
      return found.length > 0 && found;
    });

  test.skipIf(missing)('commands, jobs, parameters and their values', () => {
    expect(offered('keystride st')).toEqual(['start', 'status', 'stop']);
    expect(offered('keystride start even')).toEqual(['evenNumbers']);
    expect(offered('keystride start evenNumbers --param ')).toEqual(['from=', 'to=']);
    expect(offered('keystride status --no')).toEqual([]);
  });

  test.skipIf(missing)('an id with colons and equals signs is one word', async () => {
    expect(await waitForIds('keystride status evenN')).toEqual([id]);
    // bash completes what stands behind its last word break.
    expect(await waitForIds('keystride status evenNumbers:fr')).toEqual([
      shell === 'bash' ? 'from=1,to=10' : id,
    ]);
    const [value = ''] = offered('keystride start targetSync --param mode=b');
    expect(value).toBe(shell === 'bash' ? 'bulk' : 'mode=bulk');
  });
});
