import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { claimInstance, closeInstance, completeInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { findInstance } from '../../packages/keystride/src/ledger/instance.ts';
import { findOriginal } from '../../packages/keystride/src/ledger/redrive-claim.ts';
import { nameOf } from '../../packages/keystride/src/project/project.ts';
import { OwnLedger } from './own-ledger.ts';

/** Jobs of one name in two projects, upon one ledger. */

const own = new OwnLedger();

const claimAs = (name: string | undefined, formerly: readonly string[], instance: string, runId: string) =>
  claimInstance(
    own.ledger.as({ name, formerly }),
    {
      job: 'import',
      instance,
      parameters: {},
      workflowId: runId,
      runId,
      carried: null,
      preventRestart: false,
    },
    () => Promise.resolve(false),
  );

const ofAnother =
  /belongs to project shop on this ledger, and this is project billing: both have a job import/u;

test.each(['completed', 'failed', 'running'] as const)(
  'what a project has claimed is refused to another, by name: %s',
  async (status) => {
    const instance = `import:status=${status}`;
    const claimed = await claimAs('shop', [], instance, 'first');
    if (status === 'completed') await completeInstance(own.ledger, claimed, []);
    if (status === 'failed') await closeInstance(own.ledger, claimed, 'failed');
    const billing = own.ledger.as({ name: 'billing', formerly: [] });
    for (const ask of [
      () => claimAs('billing', [], instance, 'second'),
      () => findInstance(billing, instance),
      () => findOriginal(billing, instance),
    ])
      await expect(ask()).rejects.toMatchObject({
        type: 'OtherProject',
        nonRetryable: true,
        message: expect.stringMatching(ofAnother) as string,
      });
    const asOwner = findInstance(own.ledger.as({ name: 'shop', formerly: [] }), instance);
    expect(await asOwner).toMatchObject({ status, workflowId: 'first' });
  },
);

test('a project that has another name now keeps what it has claimed, and is then known by its new one', async () => {
  const instance = 'import:renamed';
  await closeInstance(own.ledger, await claimAs('shop', [], instance, 'first'), 'failed');
  expect((await claimAs('billing', ['store', 'shop'], instance, 'second')).epoch).toBe(2);
  await expect(claimAs('shop', [], instance, 'third')).rejects.toThrow(/belongs to project billing/u);
});

test('an instance from before there were names is the one’s who claims it next; one without a name takes none away', async () => {
  const instance = 'import:old';
  await closeInstance(own.ledger, await claimAs(undefined, [], instance, 'first'), 'failed');
  await closeInstance(own.ledger, await claimAs('shop', [], instance, 'second'), 'failed');
  await closeInstance(own.ledger, await claimAs(undefined, [], instance, 'third'), 'failed');
  await expect(claimAs('billing', [], instance, 'fourth')).rejects.toThrow(ofAnother);
});

test('a project is called what its configuration says, else what the nearest package.json with a name does', () => {
  const root = mkdtempSync(path.join(tmpdir(), 'keystride-project-'));
  try {
    const compiled = path.join(root, 'dist');
    mkdirSync(compiled);
    writeFileSync(path.join(root, 'package.json'), '{"name":"shop"}');
    writeFileSync(path.join(compiled, 'package.json'), '{"type":"module"}');
    const config = { jobs: [], workflows: '', worker: () => ({ resources: {}, jobs: () => [] }) };
    expect(nameOf({ root: compiled, config })).toEqual({ name: 'shop', formerly: [] });
    const named = { ...config, name: 'billing', formerly: ['shop'] };
    expect(nameOf({ root: compiled, config: named })).toEqual({ name: 'billing', formerly: ['shop'] });
  } finally {
    rmSync(root, { recursive: true });
  }
});
