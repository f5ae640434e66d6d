import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAudit } from '../../packages/keystride/src/ledger/audit.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { keystride } from '../cli/support.ts';
import { fails, Fixture, instanceOf } from '../conformance/fixture.ts';
import { failureOf } from '../support/runs.ts';
import { waitFor } from '../support/stack.ts';

/** `keystride prune`, and the workflow that a schedule starts. */
let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

/** A run that has ended, ten days ago. */
async function endedRun(run: string, told: Parameters<Fixture['run']>[1] = {}) {
  const ended = await fixture.run(run, told, { workflowId: instanceOf(run) });
  await fixture.pool.query(
    `update keystride.instance set closed_at = closed_at - interval '10 days' where instance_key = $1`,
    [instanceOf(run)],
  );
  return ended;
}

async function stepsOf(run: string): Promise<number> {
  const { rowCount } = await fixture.pool.query('select from keystride.step where instance_key = $1', [
    instanceOf(run),
  ]);
  return rowCount ?? 0;
}

async function pruned(...words: string[]): Promise<unknown> {
  const result = await keystride(['prune', ...words, '-o', 'json'], fixture.world.environment);
  expect(result.exitCode, result.stderr).toBe(0);
  return result.json();
}

test('what has completed goes and is refused for ever; what can be started again is, from where it stood', async () => {
  await endedRun('done');
  await endedRun('skipped', { faults: [fails('process', 2)] });
  const broken = await endedRun('broken', { faults: [fails('process', 4)], skipLimit: 0 });
  expect(broken.status).toBe('failed');
  const words = ['--older-than', '7d', '--keep', '0'];
  expect(await pruned(...words, '--dry-run')).toMatchObject({ instances: 1 });
  expect(await stepsOf('done')).toBe(1);
  expect(await pruned(...words, '--operator', 'anna', '--reason', 'the disk')).toMatchObject({
    instances: 1,
  });
  expect([await stepsOf('done'), await stepsOf('skipped'), await stepsOf('broken')]).toEqual([0, 1, 1]);

  expect(await failureOf(await fixture.start('done'))).toMatchObject({ type: 'JobInstanceAlreadyComplete' });
  const again = await fixture.run('broken');
  expect(again.status).toBe('completed');
  expect((await fixture.effects('broken')).written).toEqual([1, 2, 3, 4, 5]);
  const [entry] = await readAudit(new Ledger(fixture.pool), { action: 'prune' }, { limit: 1 });
  expect(entry).toMatchObject({
    ...{ operator: 'anna', from: 'command', reason: 'the disk' },
    after: { olderThanDays: 7, keep: 0, auditOlderThanDays: 365 },
  });
});

test('a schedule prunes, in its own name', async () => {
  await endedRun('scheduled');
  await pruned('--older-than', '7d', '--keep', '0', '--schedule', '30 4 * * *', '--timezone', 'Asia/Seoul');
  const listed = await keystride(['schedule', 'list'], fixture.world.environment);
  expect(listed.stdout).toContain('prune');
  const triggered = await keystride(['schedule', 'trigger', 'prune'], fixture.world.environment);
  expect(triggered.exitCode, triggered.stderr).toBe(0);
  await waitFor(async () => (await stepsOf('scheduled')) === 0, { what: 'the scheduled prune' });
  const entries = await readAudit(new Ledger(fixture.pool), { operator: 'prune' }, { limit: 10 });
  expect(entries).toMatchObject([{ action: 'prune', from: 'schedule' }]);
  const changes = await readAudit(new Ledger(fixture.pool), { ids: ['prune'] }, { limit: 10 });
  expect(changes.map(({ action }) => action)).toEqual(['schedule trigger', 'schedule create']);
});

test.each([{ keep: -1 }, { olderThanDays: '7' }, { olderThan: 7 }, { jobs: [] }, 7])(
  'a retention that is misread deletes nothing: %j',
  async (retention) => {
    const { client, taskQueue } = fixture.world;
    const handle = await client.workflow.start('prune', {
      ...{ taskQueue, workflowId: `prune-${crypto.randomUUID()}`, args: [retention] },
    });
    expect(await failureOf(handle)).toMatchObject({ type: 'JobParametersInvalid' });
  },
);
