import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import { expect, test } from 'vitest';
import {
  type MetricDescription,
  metricTable,
  scrapedName,
} from '../packages/keystride/src/telemetry/metric-table.ts';

const page = path.join(import.meta.dirname, '../docs/metrics.md');
const begin = '<!-- metrics: written by npx vitest run --project fast test/metrics-page.test.ts -u -->';
const end = '<!-- /metrics -->';

const metrics = Object.values<MetricDescription>(metricTable);

function tableOf(): string {
  const rows = metrics.map((metric) => {
    const labels = metric.labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${scrapedName(metric)}\` | ${metric.kind} | ${metric.unit} | ${labels} | ${metric.help} |`;
  });
  return ['| metric | kind | unit | labels | what it is |', '| --- | --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
}

test('the page has every metric as the table of the code has it', async () => {
  const text = await readFile(page, 'utf8');
  expect(text.split(begin)).toHaveLength(2);
  const [before = '', rest = ''] = text.split(begin);
  const [, after = ''] = rest.split(end);
  const made = `${before}${begin}\n\n${tableOf()}\n\n${end}${after}`;
  await expect(
    await format(made, { ...(await resolveConfig(page)), parser: 'markdown' }),
  ).toMatchFileSnapshot(page);
});

test('names and labels are as Prometheus wants them, and each name ends with what it counts', () => {
  for (const { name, kind, unit, labels, buckets } of metrics) {
    expect(name).toMatch(/^keystride(_[a-z]+)+$/u);
    expect(name).not.toMatch(/_total$/u);
    if (unit === 'seconds' || unit === 'bytes') expect(name).toMatch(new RegExp(`_${unit}$`, 'u'));
    for (const label of labels)
      expect(label).toMatch(/^(job_name|step|code|phase|reason|api|stream|outcome|kind)$/u);
    expect(buckets !== undefined).toBe(kind === 'histogram');
    expect(buckets?.toSorted((one, other) => one - other)).toEqual(buckets);
  }
});
