import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { jobStatuses } from '../packages/keystride/src/contract/states.ts';
import { alertRules } from './support/ops.ts';

const root = path.join(import.meta.dirname, '..');
const handbook = path.join(root, 'docs/handbook');

const hasPromtool = (process.env['PATH'] ?? '')
  .split(path.delimiter)
  .some((directory) => existsSync(path.join(directory, 'promtool')));

test.runIf(hasPromtool)('Prometheus takes the rules', () => {
  const answer = execFileSync('promtool', ['check', 'rules', path.join(root, 'ops/alerts.yaml')]);
  expect(String(answer)).toContain(`SUCCESS: ${alertRules().length} rules found`);
});

test('every rule says how bad it is, and leads to its page of the handbook', () => {
  expect(alertRules().length).toBeGreaterThan(10);
  for (const { alert, labels, annotations } of alertRules()) {
    expect(labels['severity']).toMatch(/^(critical|warning|info)$/u);
    expect(annotations['summary']).toMatch(/\w/u);
    expect(annotations['runbook']).toBe(`docs/handbook/${alert}.md`);
  }
});

test('the handbook has a page for each rule and each state, and no other', () => {
  const wanted = [
    'README.md',
    ...alertRules().map(({ alert }) => `${alert}.md`),
    ...jobStatuses.map((status) => `state-${status}.md`),
  ];
  expect(readdirSync(handbook).toSorted()).toEqual(wanted.toSorted());
});

test('each page says what it means, what to look at and what to do, and the index leads to it', () => {
  const index = readFileSync(path.join(handbook, 'README.md'), 'utf8');
  for (const file of readdirSync(handbook).filter((name) => name !== 'README.md')) {
    const page = readFileSync(path.join(handbook, file), 'utf8');
    const headings = Array.from(page.matchAll(/^##? (.*)$/gmu), ([, heading]) => heading);
    const title = file.replace(/^state-|\.md$/gu, '');
    expect(headings).toEqual([title, 'What it means', 'What to look at', 'What to do']);
    expect(index).toContain(`](${file})`);
  }
});
