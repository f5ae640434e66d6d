import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

/** The rules of hadolint that matter for these images; the linter itself is a program of its own that npm does not have. */
const root = path.join(import.meta.dirname, '..');

/** Instructions of a Dockerfile, continued lines joined, by stage. */
function stagesOf(text: string): string[][] {
  const lines = text
    .replaceAll(/\\\n/gu, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const stages: string[][] = [];
  for (const line of lines) {
    if (line.startsWith('FROM ')) stages.push([]);
    stages.at(-1)?.push(line);
  }
  return stages;
}

function argumentsOf(stage: readonly string[], instruction: string): string[] {
  return stage
    .filter((line) => line.startsWith(`${instruction} `))
    .map((line) => line.slice(instruction.length + 1));
}

const deployment = readFileSync(path.join(root, 'docs/deployment.md'), 'utf8');
const [, shown = ''] = /```dockerfile\n(.*?)```/su.exec(deployment) ?? [];
const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  readonly devDependencies: Readonly<Record<string, string>>;
};

const images = {
  Dockerfile: readFileSync(path.join(root, 'Dockerfile'), 'utf8'),
  'docs/deployment.md': shown,
};

test.for(Object.entries(images))('%s makes an image to run with the least', ([file, text]) => {
  const stages = stagesOf(text);
  const last = stages.at(-1) ?? [];
  for (const stage of stages) {
    // One exact version everywhere, that of the repository.
    expect(argumentsOf(stage, 'FROM')[0]).toMatch(`node:${devDependencies['node']}-bookworm-slim`);
    expect(argumentsOf(stage, 'ADD')).toEqual([]);
    expect(argumentsOf(stage, 'RUN').filter((line) => /\b(sudo|curl|wget|chmod 777)\b/u.test(line))).toEqual(
      [],
    );
    expect(argumentsOf(stage, 'WORKDIR').filter((directory) => !path.isAbsolute(directory))).toEqual([]);
    // Locked packages, of which the image has none for development.
    expect(argumentsOf(stage, 'RUN').filter((line) => /\bnpm (i|install)\b/u.test(line))).toEqual([]);
  }
  expect(argumentsOf(last, 'RUN').filter((line) => line.includes('npm ci'))).toEqual([
    expect.stringContaining('npm ci --omit=dev'),
  ]);
  expect(argumentsOf(last, 'ENV').join('\n')).toContain('NODE_ENV=production');
  // Nothing secret is built in, and whoever runs it is nobody in particular.
  expect(argumentsOf(last, 'ENV').filter((line) => /(_URL|_KEY|PASSWORD|TOKEN)=/u.test(line))).toEqual([]);
  expect(argumentsOf(last, 'USER')).toEqual(['node']);
  // Node keeps compiled code for the user that runs it: what is made as this user is one directory.
  expect(
    last.slice(last.findIndex((line) => line.startsWith('USER '))).map((line) => line.split(' ')[0]),
  ).toEqual([...['USER', 'ENV', 'RUN', 'CMD']]);
  expect(argumentsOf(last, 'RUN').at(-1)).toMatch(/^keystride bundle /u);
  // A list, so that signals reach Node itself.
  expect(argumentsOf(last, 'CMD')).toEqual(['["node", "src/worker.ts"]']);
  const copied = argumentsOf(last, 'COPY').filter((line) => !line.startsWith('--from'));
  const sources = copied.flatMap((line) => line.split(/\s+/u).slice(0, -1));
  // A project of one's own has its migrations, where this repository has them below src.
  const absent = sources.filter((source) => source !== 'migrations' && !existsSync(path.join(root, source)));
  expect(absent, file).toEqual([]);
});

test('what is not copied is kept out of the build', () => {
  const [everything, ...but] = readFileSync(path.join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(everything).toBe('*');
  expect(but).toEqual(expect.arrayContaining(['**/node_modules', '!src', '!packages']));
});
