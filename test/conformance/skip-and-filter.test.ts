import { afterAll, beforeAll, expect, test } from 'vitest';
import { each, fails, Fixture, instanceOf, upTo } from './fixture.ts';

// Unless a test says otherwise: items 1 to 5, chunks of 2, at most 2 skips, and a ScriptedError may be skipped.
let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

test('1: the read of 2 fails, skippable → read 4, readSkip 1, written 1,3,4,5', async () => {
  const { status, report } = await fixture.run('one', { faults: [fails('read', 2)] });
  expect(status).toBe('completedWithSkips');
  expect(report?.steps).toMatchObject([{ read: 4, readSkipped: 1, skipped: 1, written: 4 }]);
  expect(await fixture.effects('one')).toMatchObject({ read: 4, skips: ['read 2'], written: [1, 3, 4, 5] });
});

test('2: a skip policy object instead of a limit → as 1', async () => {
  const faults = [fails('read', 2)];
  const { status } = await fixture.run('two', { faults, skipCodes: [], skipPolicy: 'scripted' });
  expect(status).toBe('completedWithSkips');
  expect(await fixture.effects('two')).toMatchObject({ read: 4, skips: ['read 2'], written: [1, 3, 4, 5] });
  const without = await fixture.run('twowithout', { faults, skipCodes: [] });
  expect(without.status).toBe('failed');
});

test.for(['read', 'write'] as const)(
  '3: the skip policy itself throws at a failed %s → failed with its error, nothing of that chunk committed',
  async (phase) => {
    const run = `three${phase}`;
    const faults = [fails(phase, 4, { error: 'other' })];
    const { status, message } = await fixture.run(run, { faults, skipCodes: [], skipPolicy: 'throws' });
    expect(status).toBe('failed');
    expect(message).toContain('the skip policy cannot decide');
    expect(await fixture.effects(run)).toMatchObject({ skips: [], written: [1, 2], read: 2 });
  },
);

test('4: a non-skippable error on read → failed, the message says it was a read', async () => {
  const { status, message } = await fixture.run('four', { faults: [fails('read', 4, { error: 'other' })] });
  expect(status).toBe('failed');
  expect(message).toMatch(/step items partition 0, read of key 3 .*OtherError: read of item 4 fails as told/);
  expect(await fixture.effects('four')).toMatchObject({ skips: [], written: [1, 2] });
});

test('5: a non-skippable error, chunk 1, item 1 in the writer → failed, read 1, written none', async () => {
  const faults = [fails('write', 1, { error: 'other' })];
  const { status, message } = await fixture.run('five', { faults, chunkSize: 1 });
  expect(status).toBe('failed');
  expect(message).toMatch(/write of key 0 .*OtherError: write of item 1 fails as told/);
  expect(await fixture.effects('five')).toMatchObject({ read: 0, writtenCount: 0, written: [] });
  // One was reached by the writer; what committed is none.
  expect(await fixture.calls('five', 'write')).toEqual({ 1: 1 });
});

test('6: 4 fails in the processor → read 5, processSkip 1, written 1,2,3,5; 3 is processed once', async () => {
  const { status } = await fixture.run('six', { faults: [fails('process', 4)] });
  expect(status).toBe('completedWithSkips');
  expect(await fixture.effects('six')).toMatchObject({
    read: 5,
    skips: ['process 4'],
    written: [1, 2, 3, 5],
  });
  expect(await fixture.calls('six', 'process')).toEqual(each(upTo(5)));
});

test('7: the processor returns null for 4 → filtered 1, skipped 0, written 1,2,3,5', async () => {
  const { status } = await fixture.run('seven', { filtered: [4] });
  expect(status).toBe('completed');
  expect(await fixture.effects('seven')).toMatchObject({
    read: 5,
    filtered: 1,
    skipped: 0,
    written: [1, 2, 3, 5],
  });
});

test.for(['scripted', 'constraint'] as const)(
  '8: 4 fails in the writer (%s) → read 5, writeSkip 1, written 1,2,3,5, every one once',
  async (error) => {
    const run = `eight${error}`;
    const { status } = await fixture.run(run, {
      faults: [fails('write', 4, { error })],
      skipCodes: ['ScriptedError', 'SQLSTATE_23514'],
    });
    expect(status).toBe('completedWithSkips');
    expect(await fixture.effects(run)).toMatchObject({
      read: 5,
      skips: ['write 4'],
      writtenCount: 4,
      written: [1, 2, 3, 5],
    });
    expect(await fixture.calls(run, 'process')).toEqual(each(upTo(5)));
  },
);

test.for(['read', 'process', 'write'] as const)(
  '9: an error class excluded from a skippable parent, at %s → failed with its message',
  async (phase) => {
    const run = `nine${phase}`;
    const faults = [fails(phase, 2), fails(phase, 4, { error: 'child' })];
    const { status, message } = await fixture.run(run, { faults, skipExcept: ['ScriptedChild'] });
    expect(status).toBe('failed');
    expect(message).toContain(`ScriptedChild: ${phase} of item 4 fails as told`);
    const { status: parent } = await fixture.run(`${run}parent`, { faults });
    expect(parent, 'a child of a skippable parent is skippable').toBe('completedWithSkips');
  },
);

test('10: read of 2 and write of 4 fail, limit 1 → failed SkipLimitExceeded, skipped 1, written 1,3', async () => {
  const faults = [fails('read', 2), fails('write', 4)];
  const { status, message } = await fixture.run('ten', { faults, skipLimit: 1 });
  expect(status).toBe('failed');
  expect(message).toContain('SkipLimitExceeded');
  expect(message).toMatch(/1 items are skipped and 1 more would exceed the limit of 1/);
  expect(await fixture.effects('ten')).toMatchObject({
    skips: ['read 2'],
    skipped: 1,
    countedSkips: 1,
    written: [1, 3],
  });
});

test('11: 6 items, reads 2,3,5 and write 4 fail, limit 3 → failed; skip rows = committed skips', async () => {
  const faults = [...[2, 3, 5].map((item) => fails('read', item)), fails('write', 4)];
  const { status } = await fixture.run('eleven', { items: 6, faults, skipLimit: 3 });
  expect(status).toBe('failed');
  expect(await fixture.effects('eleven')).toMatchObject({
    skips: ['read 2', 'read 3', 'write 4'],
    skipped: 3,
    countedSkips: 3,
    written: [1],
    writtenCount: 1,
  });
});

test('12: reads 1,3,5 fail, limit 2 → failed; the skip of the chunk that rolled back is not in the ledger', async () => {
  const faults = [1, 3, 5].map((item) => fails('read', item));
  const { status } = await fixture.run('twelve', { faults, skipLimit: 2 });
  expect(status).toBe('failed');
  expect(await fixture.effects('twelve')).toMatchObject({
    skips: ['read 1', 'read 3'],
    skipped: 2,
    countedSkips: 2,
    written: [2, 4],
  });
});

test.for(['read', 'write'] as const)(
  '13: the onSkip hook throws at a skipped %s → failed with its message; that chunk did not commit',
  async (phase) => {
    const run = `thirteen${phase}`;
    const faults = [fails(phase, 4), fails('onSkip', 4, { error: 'other' })];
    const { status, message } = await fixture.run(run, { faults });
    expect(status).toBe('failed');
    expect(message).toContain('onSkip of item 4 fails as told');
    expect(await fixture.effects(run)).toMatchObject({
      skips: [],
      countedSkips: 0,
      written: [1, 2],
      read: 2,
    });
  },
);

test('14: reads 2,3,5 and write 4 fail of 6, limit 4 → completedWithSkips, 3 + 1, written 1,6', async () => {
  const faults = [...[2, 3, 5].map((item) => fails('read', item)), fails('write', 4)];
  const { status, report } = await fixture.run('fourteen', { items: 6, faults, skipLimit: 4 });
  expect(status).toBe('completedWithSkips');
  expect(report?.steps).toMatchObject([{ read: 3, readSkipped: 3, skipped: 4, written: 2 }]);
  expect(await fixture.effects('fourteen')).toMatchObject({
    skips: ['read 2', 'read 3', 'write 4', 'read 5'],
    written: [1, 6],
  });
});

test('15: 15 items, chunk 5, reads 6,12…15 and write 4 fail, limit 3 → failed; written 1,2,3,5,7,8,9,10,11', async () => {
  const faults = [...[6, 12, 13, 14, 15].map((item) => fails('read', item)), fails('write', 4)];
  const { status } = await fixture.run('fifteen', { items: 15, chunkSize: 5, faults, skipLimit: 3 });
  expect(status).toBe('failed');
  expect(await fixture.effects('fifteen')).toMatchObject({
    skips: ['write 4', 'read 6'],
    countedSkips: 2,
    written: [1, 2, 3, 5, 7, 8, 9, 10, 11],
  });
});

test('16: 2 and 4 fail in the processor → written 1,3,5; each processed once', async () => {
  const { status } = await fixture.run('sixteen', { faults: [fails('process', 2), fails('process', 4)] });
  expect(status).toBe('completedWithSkips');
  expect(await fixture.effects('sixteen')).toMatchObject({
    skips: ['process 2', 'process 4'],
    written: [1, 3, 5],
  });
  expect(await fixture.calls('sixteen', 'process')).toEqual(each(upTo(5)));
});

test('17: 2 and 4 fail in the writer → written 1,3,5, writeSkip 2', async () => {
  const { status } = await fixture.run('seventeen', { faults: [fails('write', 2), fails('write', 4)] });
  expect(status).toBe('completedWithSkips');
  expect(await fixture.effects('seventeen')).toMatchObject({
    read: 5,
    skips: ['write 2', 'write 4'],
    written: [1, 3, 5],
  });
});

test('18: all five fail in the writer, 3 partitions, limit 10 → completedWithSkips, written none, skipped 5', async () => {
  const faults = upTo(5).map((item) => fails('write', item));
  const { status } = await fixture.run('eighteen', { faults, partitions: 3, skipLimit: 10 });
  expect(status).toBe('completedWithSkips');
  expect(await fixture.effects('eighteen')).toMatchObject({
    read: 5,
    skipped: 5,
    countedSkips: 5,
    written: [],
  });
});

test.for(['read', 'process', 'write'] as const)(
  '19: a skippable cause nested two deep, at %s → skipped',
  async (phase) => {
    const run = `nineteen${phase}`;
    const { status } = await fixture.run(run, { faults: [fails(phase, 4, { depth: 2 })] });
    expect(status).toBe('completedWithSkips');
    expect(await fixture.effects(run)).toMatchObject({ skips: [`${phase} 4`], written: [1, 2, 3, 5] });
  },
);

// Eight partitions of ten items, chunks of 2, each chunk with one skip: forty in all, all at once.
const everySecond = {
  items: 80,
  partitions: 8,
  faults: upTo(80)
    .filter((item) => item % 2 === 0)
    .map((item) => fails('process', item)),
};

test('20: the limit is hit exactly by 8 partitions skipping at once → completed', async () => {
  const { status } = await fixture.run('twenty', { ...everySecond, skipLimit: 40 });
  expect(status).toBe('completedWithSkips');
  expect(await fixture.effects('twenty')).toMatchObject({ skipped: 40, countedSkips: 40, writtenCount: 40 });
});

test('20: one more than the limit, with 8 partitions skipping at once → failed, never limit + 1 committed', async () => {
  const { status, message } = await fixture.run('twentymore', { ...everySecond, skipLimit: 39 });
  expect(status).toBe('failed');
  expect(message).toContain('limit of 39');
  const { skips, ...effects } = await fixture.effects('twentymore');
  expect(effects).toMatchObject({ skipped: 39, countedSkips: 39, writtenCount: 39 });
  expect(skips).toHaveLength(39);
  expect(effects.written).toHaveLength(39);
});

test('21: a rate limit of 10 % after at least 50 items → 10 % of 100 passes, 11 % fails, 5 of 5 does not fail before the sample', async () => {
  const rated = { chunkSize: 10, skipLimit: 1000, skipRate: { share: 0.1, afterItems: 50 } };
  const tenth = upTo(10).map((tens) => fails('process', tens * 10));
  const passing = await fixture.run('rate10', { ...rated, items: 100, faults: tenth });
  expect(passing.status).toBe('completedWithSkips');
  expect(await fixture.effects('rate10')).toMatchObject({ skipped: 10, writtenCount: 90 });

  const failing = await fixture.run('rate11', {
    ...rated,
    items: 100,
    faults: [...tenth, fails('process', 95)],
  });
  expect(failing.status).toBe('failed');
  expect(failing.message).toMatch(/11 of 100 items are to be skipped, more than the 10 % that are allowed/);
  expect(await fixture.effects('rate11')).toMatchObject({ skipped: 9, countedSkips: 9, writtenCount: 81 });

  const few = await fixture.run('rate5', { ...rated, faults: upTo(5).map((item) => fails('process', item)) });
  expect(few.status).toBe('completedWithSkips');
  expect(await fixture.effects('rate5')).toMatchObject({ skipped: 5, written: [] });
});

test.for([
  ['none', null],
  ['some', { item: 2, 'odd␀name': ['a zero␀', null] }],
  ['much', 'not kept: 100002 characters, more than 8192'],
  ['throws', 'not kept: keepItem has failed'],
] as const)(
  'what is kept of an item, here %s, stands in its skip, and costs no chunk',
  async ([keepItem, kept]) => {
    const run = `keep${keepItem}`;
    const { status } = await fixture.run(run, { faults: [fails('process', 2)], keepItem });
    expect(status).toBe('completedWithSkips');
    const { rows } = await fixture.pool.query<{ item: unknown }>(
      'SELECT item FROM keystride.skip WHERE instance_key = $1',
      [instanceOf(run)],
    );
    expect(rows).toEqual([{ item: kept }]);
  },
);
