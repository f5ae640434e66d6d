import { setTimeout as delay } from 'node:timers/promises';
import { answeredOnce } from '../../contract/answered-once.ts';
import { type Cursor, cursorOf } from '../../contract/cursor.ts';
import { failure, failureTypeOf } from '../../contract/errors.ts';
import type { ComparedPage, Difference } from '../../contract/verification.ts';
import type { VerificationWork } from '../../job/registry.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { hasPassed, noteUnsettled, readLogPlace } from '../../ledger/log.ts';
import { runningOnStream } from '../../ledger/streams.ts';
import { markLog } from '../../stores/postgres/replication-slot.ts';
import type { FollowedTable, FollowedTables } from './followed-table.ts';
import { isFollowedAs, notFollowed } from './refused-rows.ts';

/** How often it is looked where the stream stands, in milliseconds. */
const lookMs = 250;

/** A stream that has not moved for so long stands still, in milliseconds. Where its source is quiet it moves every ten seconds. */
const stillMs = 30_000;

/** How often a row is looked at that is another one each time, and a part of a table whose hashes differ and no row does. */
const mostLooks = 5;

/** Rows that are compared one by one: fewer than these are not cut any more. */
const fewestRows = 100;

/**
 * Compares tables with their copies at any moment, also while a run follows them: a row that differs is looked at again when
 * the stream has passed all that the source had committed, and told if neither side has touched it in between. What differs
 * is put right by the stream, which reads it again at the place where it stands.
 */
export function verifyFollowed(ledger: Ledger, describe: () => Promise<FollowedTables>): VerificationWork {
  const followed = answeredOnce(describe);
  let handedOver = false;
  return {
    comparePage: async (position, limit, signal) => {
      const { number = 0, within = null } = (position ?? {}) as { number?: number; within?: unknown };
      const all = await followed();
      const table = all.tables[number];
      if (!table) return { position: null, compared: 0, differences: [] };
      const stream = new StreamAtWork(ledger, all, signal);
      const page = await pageOf(stream, table, within, limit, signal);
      const next = page.position === null ? { number: number + 1 } : { number, within: page.position };
      const left =
        handedOver && !(await stream.isFollowed())
          ? saying(page.differences, 'the next run of its stream reads it again')
          : await stream.notBrought(table, page.differences);
      const name = all.tables.length > 1 ? `${table.source} ` : '';
      return {
        compared: page.compared,
        differences: left.map((one) => ({ ...ofTable(number, one), told: `${name}${one.told}` })),
        position: next.number < all.tables.length ? next : null,
      };
    },
    handOver: async (differences, transaction) => {
      const { stream, tables } = await followed();
      if (!isFollowedAs(await readLogPlace(transaction, stream), tables))
        throw failure('RepairRefused', `${stream}: ${notFollowed}.`);
      const rows = differences.flatMap(({ rerun, remove }) => {
        const [number, ...key] = rerun ?? remove ?? [];
        const table = tables[Number(number)];
        return table ? [{ source: table.source, key: cursorOf(key), code: null }] : [];
      });
      await noteUnsettled(transaction, stream, rows);
      handedOver = true;
    },
  };
}

/** A part of a table; a smaller one where it is written to so much that its hashes never agree, though its rows do. */
async function pageOf(
  stream: StreamAtWork,
  { comparison }: FollowedTable,
  within: unknown,
  limit: number,
  signal: AbortSignal,
): Promise<ComparedPage> {
  for (let [look, rows] = [1, limit]; ; look += 1, rows = Math.max(fewestRows, Math.ceil(rows / 4))) {
    try {
      return await comparison.comparePage(within, rows, signal);
    } catch (error) {
      if (failureTypeOf(error) !== 'Incomparable' || look === mostLooks || !(await stream.isFollowed()))
        throw error;
      await stream.passed();
    }
  }
}

/** With the number of its table before its key, as skips have it. */
function ofTable(number: number, { rerun, remove, ...difference }: Difference): Difference {
  const numbered = (key: Cursor) => cursorOf([String(number), ...key]);
  return {
    ...difference,
    ...(rerun && { rerun: numbered(rerun) }),
    ...(remove && { remove: numbered(remove) }),
  };
}

/** A stream that is compared while a run may follow it. */
class StreamAtWork {
  readonly #ledger: Ledger;
  readonly #followed: FollowedTables;
  readonly #signal: AbortSignal;

  constructor(ledger: Ledger, followed: FollowedTables, signal: AbortSignal) {
    this.#ledger = ledger;
    this.#followed = followed;
    this.#signal = signal;
  }

  async isFollowed(): Promise<boolean> {
    return (await runningOnStream(this.#ledger, this.#followed.stream)).length > 0;
  }

  /** Those of the differences that are none of the stream's being behind, or of which that cannot be told: they say why. */
  async notBrought(
    { comparison }: FollowedTable,
    differences: readonly Difference[],
  ): Promise<readonly Difference[]> {
    if (differences.length === 0 || !(await this.isFollowed())) return differences;
    const found: Difference[] = [];
    let seen = await comparison.again(differences, this.#signal);
    for (let look = 1; seen.length > 0; look += 1) {
      const why = await this.passed();
      if (why !== null) return [...found, ...saying(seen, why)];
      const states = new Set(seen.map(({ state }) => state));
      const now = await comparison.again(seen, this.#signal);
      const changed = now.filter(({ state }) => !states.has(state));
      found.push(...now.filter(({ state }) => states.has(state)));
      if (look === mostLooks)
        return [...found, ...saying(changed, 'it is changed all the time: verify it again')];
      seen = changed;
    }
    return found;
  }

  /**
   * Waits until the stream has passed all that the source has committed by now, and what it had to read again.
   *
   * @returns null; or, for one that stands still, words for that.
   */
  async passed(): Promise<string | null> {
    const { stream, source } = this.#followed;
    const mark = await markLog(source, stream);
    let movedAt = performance.now();
    for (let moves: number | undefined; ;) {
      const place = await readLogPlace(this.#ledger, stream);
      if (place && hasPassed(place, mark)) return null;
      const now = performance.now();
      if (place?.moves !== moves) movedAt = now;
      else if (now - movedAt > stillMs)
        return `its stream has stood still at ${place?.cursor?.[0] ?? 'no position'} for ${stillMs / 1000} s, and may not have brought it`;
      moves = place?.moves;
      await delay(lookMs, undefined, { signal: this.#signal });
    }
  }
}

function saying(differences: readonly Difference[], why: string): Difference[] {
  return differences.map((one) => ({ ...one, told: `${one.told}; ${why}` }));
}
