import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../support/stack.ts';
import { each, endingOf, fails, Fixture, instanceOf, upTo } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await Fixture.open();
});

afterAll(() => fixture?.close());

/** Lets a statement on a table fail, for one run alone: `deferred` at COMMIT, else at once. */
async function failing(
  name: string,
  trigger: { table: string; event: string; when: string; raise: string; deferred: boolean },
  body: () => Promise<void>,
): Promise<void> {
  const { table, event, when, raise, deferred } = trigger;
  await fixture.pool.query(
    `CREATE SEQUENCE ${name}_times;
     CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS
       $body$ BEGIN IF nextval('${name}_times') > 0 THEN ${raise} END IF; RETURN NEW; END $body$;
     CREATE ${deferred ? 'CONSTRAINT' : ''} TRIGGER ${name} ${deferred ? 'AFTER' : 'BEFORE'} ${event} ON ${table}
       ${deferred ? 'DEFERRABLE INITIALLY DEFERRED' : ''} FOR EACH ROW WHEN (${when}) EXECUTE FUNCTION ${name}()`,
  );
  try {
    await body();
  } finally {
    await fixture.pool.query(`DROP TRIGGER ${name} ON ${table}`);
  }
}

describe('30: COMMIT turns into ROLLBACK → failed or retried, never counted as committed', () => {
  test('a writer swallows an error: COMMIT is answered with ROLLBACK', async () => {
    const { status, message } = await fixture.run('swallow', { swallowedAt: 4 });
    expect(status).toBe('failed');
    expect(message).toContain('COMMIT was answered with ROLLBACK');
    expect(await fixture.effects('swallow')).toMatchObject({ read: 2, writtenCount: 2, written: [1, 2] });
    expect((await fixture.run('swallow')).status).toBe('completed');
    expect(await fixture.effects('swallow')).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
  });

  const atCommit = { table: 'fixture_output', event: 'INSERT', deferred: true };

  test('a deferred constraint refuses at COMMIT', async () => {
    const when = `NEW.run = 'deferred' AND NEW.item = 4`;
    const raise = `RAISE EXCEPTION 'not at COMMIT either' USING ERRCODE = 'restrict_violation';`;
    await failing('refuses_at_commit', { ...atCommit, when, raise }, async () => {
      const { status, message } = await fixture.run('deferred');
      expect(status).toBe('failed');
      expect(message).toContain('SQLSTATE_23001');
      expect(await fixture.effects('deferred')).toMatchObject({ read: 2, written: [1, 2] });
    });
    expect((await fixture.run('deferred')).status).toBe('completed');
    expect(await fixture.effects('deferred')).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
  });

  test('a serialization failure at COMMIT passes by itself', async () => {
    const when = `NEW.run = 'passing' AND NEW.item = 4`;
    const raise = `IF currval('passes_at_commit_times') < 3 THEN
      RAISE EXCEPTION 'could not serialize' USING ERRCODE = 'serialization_failure'; END IF;`;
    await failing('passes_at_commit', { ...atCommit, when, raise }, async () => {
      expect((await fixture.run('passing', { retries: 3 })).status).toBe('completed');
      expect((await fixture.calls('passing', 'write'))[4]).toBe(3);
      expect(await fixture.effects('passing')).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
    });
  });
});

describe.for([false, true])('31: saving the checkpoint fails, deferred to COMMIT: %s', (deferred) => {
  const run = `checkpoint${deferred ? 'late' : 'early'}`;
  test('→ the rows of the chunk are not there either', async () => {
    const when = `NEW.instance_key = '${instanceOf(run)}' AND NEW.seq = 2`;
    const raise = `RAISE EXCEPTION 'the checkpoint cannot be saved';`;
    const trigger = { table: 'keystride.checkpoint', event: 'UPDATE', when, raise, deferred };
    await failing(`refuses_${run}`, trigger, async () => {
      const { status, message } = await fixture.run(run);
      expect(status).toBe('failed');
      // What a trigger says may hold what a row holds: it is told by its name.
      expect(message).toMatch(new RegExp(`SQLSTATE P0001.*function refuses_${run} line`, 'u'));
      expect(message).not.toContain('the checkpoint cannot be saved');
      expect(await fixture.effects(run)).toMatchObject({ read: 2, writtenCount: 2, written: [1, 2] });
    });
    expect((await fixture.run(run)).status).toBe('completed');
    expect(await fixture.effects(run)).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
  });
});

describe('32: an error after the commit, before the result → rows once, counters right, next chunk follows', () => {
  test('the page fails after its first chunk has committed', async () => {
    // At most six items wait: when the ninth is read, the first four are on their way to their commit.
    const { status } = await fixture.run('after', { items: 9, faults: [fails('page', 9, { times: 1 })] });
    expect(status).toBe('completed');
    expect(await fixture.effects('after')).toMatchObject({ read: 9, writtenCount: 9, written: upTo(9) });
    expect(await fixture.calls('after', 'process')).toMatchObject(each(upTo(4)));
    expect(await fixture.calls('after', 'write')).toEqual(each(upTo(9)));
  });

  test('the worker is killed between the commit and the result', async () => {
    await fixture.hold('killed', 3);
    const handle = await fixture.start('killed', { heldInProcessor: [3] });
    await waitFor(async () => (await fixture.effects('killed')).read === 2, { what: 'the first commit' });
    const [worker] = fixture.world.workers;
    await worker?.kill();
    await fixture.release('killed');
    await worker?.restart();
    expect(await endingOf(handle)).toMatchObject({ status: 'completed' });
    expect(await fixture.effects('killed')).toMatchObject({ read: 5, writtenCount: 5, written: upTo(5) });
    expect(await fixture.calls('killed', 'process')).toMatchObject(each([1, 2]));
    expect(await fixture.calls('killed', 'write')).toEqual(each(upTo(5)));
  });
});

test('33: 30 items, those over 20 filtered, one write fails → read 30, filtered 10, written 19, writeSkip 1', async () => {
  const { status, report } = await fixture.run('thirty', {
    items: 30,
    chunkSize: 4,
    filtered: upTo(30, 21),
    faults: [fails('write', 10)],
  });
  expect(status).toBe('completedWithSkips');
  expect(report?.steps).toMatchObject([{ read: 30, filtered: 10, written: 19, skipped: 1 }]);
  expect(await fixture.effects('thirty')).toMatchObject({
    read: 30,
    filtered: 10,
    writtenCount: 19,
    skips: ['write 10'],
    written: upTo(20).filter((item) => item !== 10),
  });
});

describe('33: a writer that counts what it has written', () => {
  test('what was there already is filtered, and the books agree with the target', async () => {
    const { report } = await fixture.run('counted', { items: 6, alreadyThere: [2, 3] });
    expect(report?.steps[0]).toMatchObject({ read: 6, filtered: 2, written: 4, skipped: 0 });
    expect(await fixture.effects('counted')).toMatchObject({ read: 6, filtered: 2, written: [1, 4, 5, 6] });
  });

  test('in halves too, with an item that cannot be written among them', async () => {
    const told = { items: 8, chunkSize: 8, alreadyThere: [2, 7], filtered: [8] };
    const { report } = await fixture.run('countedHalves', { ...told, faults: [fails('write', 4)] });
    expect(report?.steps[0]).toMatchObject({ read: 8, filtered: 3, written: 4, skipped: 1 });
    expect(await fixture.effects('countedHalves')).toMatchObject({ writtenCount: 4, written: [1, 3, 5, 6] });
  });

  test('a count of more than there was ends the step, and nothing of the chunk is there', async () => {
    const { status, message } = await fixture.run('miscounted', { alreadyThere: [], miscount: 1 });
    expect(status).toBe('failed');
    expect(message).toMatch(/BooksDoNotBalance.*written 3 of the 2 items/);
    expect(await fixture.effects('miscounted')).toMatchObject({ read: 0, writtenCount: 0, written: [] });
  });
});

test('34: a page is retried ten times → counters as if once', async () => {
  const faults = [fails('page', 5, { times: 10 }), fails('process', 2), fails('write', 6)];
  const handle = await fixture.start('tenfold', { items: 8, faults, filtered: [3] });
  await pageRetriesAtOnce(handle.workflowId);
  expect(await endingOf(handle)).toMatchObject({ status: 'completedWithSkips' });
  expect((await fixture.calls('tenfold', 'page'))[5]).toBe(11);
  expect(await fixture.effects('tenfold')).toMatchObject({
    read: 8,
    filtered: 1,
    skips: ['process 2', 'write 6'],
    writtenCount: 5,
    written: [1, 4, 5, 7, 8],
  });
});

/** An operator shortens the waits between the attempts of a page that is under way. */
async function pageRetriesAtOnce(workflowId: string): Promise<void> {
  const { client, namespace } = fixture.world;
  await waitFor(
    () =>
      client.workflowService.updateActivityOptions({
        namespace,
        execution: { workflowId },
        type: 'processPage',
        activityOptions: {
          retryPolicy: {
            initialInterval: { nanos: 20_000_000 },
            maximumInterval: { nanos: 20_000_000 },
            backoffCoefficient: 1,
            maximumAttempts: 25,
          },
        },
        updateMask: { paths: ['retry_policy'] },
      }),
    { what: 'a page that waits for its next attempt', timeoutMs: 10_000 },
  );
}

test('35: books that do not balance → the step cannot complete; the message gives the figures', async () => {
  const when = `NEW.instance_key = '${instanceOf('books')}' AND NEW.done`;
  const raise = 'NEW.written := NEW.written + 1;';
  const trigger = { table: 'keystride.checkpoint', event: 'UPDATE', when, raise, deferred: false };
  await failing('adds_one', trigger, async () => {
    const { status, type, message } = await fixture.run('books');
    expect({ status, type }).toEqual({ status: 'failed', type: 'BooksDoNotBalance' });
    expect(message).toContain('1 of 1 partitions done; read 5 + unreadable 0 against written 6');
  });
  const again = await fixture.run('books');
  expect(again.status, 'it stays so until the ledger is right').toBe('failed');
  const { rows } = await fixture.pool.query<{ status: string }>(
    'SELECT status FROM keystride.step WHERE instance_key = $1',
    [instanceOf('books')],
  );
  expect(rows).toEqual([{ status: 'open' }]);
});
