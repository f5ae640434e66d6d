import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
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

test.runIf(hasPromtool)('a sync that has nothing to copy does not stand still, and another job does', () => {
  const series = (job: string) => ({
    series: `keystride_oldest_execution_age_seconds{job_name="${job}"}`,
    values: '7200x60',
  });
  const lag = { series: 'keystride_sync_lag_seconds{stream="tableSync:a>b:id"}', values: '20x60' };
  const alert = {
    exp_labels: { severity: 'warning', job_name: 'pointSettlement' },
    exp_annotations: {
      summary: 'pointSettlement runs, and has committed no chunk for half an hour',
      runbook: 'docs/handbook/KeystrideStandsStill.md',
    },
  };
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'keystride-rules-')), 'rules.json');
  writeFileSync(
    file,
    JSON.stringify({
      rule_files: [path.join(root, 'ops/alerts.yaml')],
      tests: [
        {
          interval: '1m',
          input_series: [series('tableSync'), series('pointSettlement'), lag],
          alert_rule_test: [{ eval_time: '40m', alertname: 'KeystrideStandsStill', exp_alerts: [alert] }],
        },
      ],
    }),
  );
  try {
    expect(execFileSync('promtool', ['test', 'rules', file], { encoding: 'utf8' })).toContain('SUCCESS');
  } finally {
    rmSync(path.dirname(file), { recursive: true });
  }
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
