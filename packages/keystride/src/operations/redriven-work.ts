import type { Claim } from '../contract/claim.ts';
import { bytesOf } from '../contract/bytes.ts';
import { type Cursor, cursorOf } from '../contract/cursor.ts';
import type { ItemRead, ReadPage, Reader, ReadRequest } from '../contract/reader.ts';
import { failure, ToldError } from '../contract/errors.ts';
import { listReader } from '../stores/list/list-reader.ts';
import { type AnyChunkWork, type AnySetWork, SkipItem } from '../job/chunks.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { countTaken, type TakenSkip, readTaken } from '../ledger/redriven-skips.ts';

/** The code of an item that cannot be run again because its reader no longer finds it. */
const gone = 'NO_LONGER_THERE';

/** What runs single items of a step again; undefined where nothing does, of a set step that skips nothing. */
export function workOfRedrive(work: AnyChunkWork | AnySetWork): AnyChunkWork | undefined {
  return work.redrive ?? ('processor' in work ? work : undefined);
}

/**
 * The work of a step as a redrive does it: over the skips that it has taken, each read again by its key; processed,
 * written and skipped as ever. The hooks around the step are left out: they belong to a run over everything.
 */
export function redrivenWork(work: AnyChunkWork, ledger: Ledger, claim: Claim, step: string): AnyChunkWork {
  return {
    reader: redriveReader(work.reader, ledger, claim, step),
    processor: (item, context) => work.processor(item, context),
    writer: work.writer,
    ...(work.calls ? { calls: work.calls.bind(work) } : {}),
    ...(work.classifiers ? { classifiers: work.classifiers } : {}),
    ...(work.skipPolicy ? { skipPolicy: work.skipPolicy.bind(work) } : {}),
    onSkip: async (skips, transaction) => {
      // Of an item that is gone the step knows nothing more than its skip already says.
      const found = skips.filter(({ code }) => code !== gone);
      if (found.length > 0) await work.onSkip?.(found, transaction);
    },
  };
}

/** Reads the skips that were taken in their order: its cursors are places in that order. */
function redriveReader(reader: Reader<unknown>, ledger: Ledger, claim: Claim, step: string): Reader<unknown> {
  return {
    ...(reader.position ? { position: reader.position.bind(reader) } : {}),
    plan: async (request) => {
      const items = (await countTaken(ledger, claim)).get(step) ?? 0;
      return listReader(items, (place) => place).plan(request);
    },
    read: async (request) => {
      if (!reader.readKeys)
        throw failure('RedriveRefused', `${claim.instance} step ${step}: its reader has no readKeys.`);
      const taken = await readTaken(ledger, { claim, step }, request);
      if (taken.length === 0) return pageOfKeys([], []);
      const keys = taken.map(({ cursor }) => cursor);
      const since = [...new Set(taken.map(({ readUpTo }) => readUpTo))];
      return pageOfKeys(taken, await readWithin(reader, keys, { ...request, since }));
    },
  };
}

/** What is known of the time at which items were skipped: see `Reader.readKeys`. */
interface Since {
  readonly since?: readonly (string | null)[];
}

/** Items that are read by their keys at a time: nobody knows how large they are. */
const readAtATime = 64;

/** Reads items by their keys, in their order, until they take so many bytes together. */
export async function readWithin(
  reader: Reader<unknown>,
  keys: readonly Cursor[],
  { bytes = Infinity, signal, since }: Pick<ReadRequest, 'bytes' | 'signal'> & Since,
): Promise<(ItemRead<unknown> | undefined)[]> {
  const found: (ItemRead<unknown> | undefined)[] = [];
  for (let size = 0; found.length < keys.length && size < bytes;) {
    const asked = keys.slice(found.length, found.length + readAtATime);
    const read = (await reader.readKeys?.({ keys: asked, signal, ...(since && { since }) })) ?? [];
    if (read.length < asked.length) throw new ToldError('readKeys must answer for each key');
    found.push(...read);
    size += bytesOf(read);
  }
  return found;
}

/**
 * Items that were read by their keys, each at its place; one that is gone is a failed read. With fewer than there are
 * keys the page says how far it has come.
 */
export function pageOfKeys(
  taken: readonly Pick<TakenSkip, 'key' | 'place'>[],
  found: readonly (ItemRead<unknown> | undefined)[],
): ReadPage<unknown> {
  const cursorAt = (index: number) => cursorOf([String(taken[index]?.place)]);
  return {
    items: found.map((read) => (read && 'item' in read ? read.item : undefined)),
    cursorAt,
    ...(found.length < taken.length ? { passed: cursorAt(found.length - 1) } : {}),
    keyAt: (index) => taken[index]?.key ?? '',
    errorAt: (index) => {
      const read = found[index];
      if (read === undefined) return new SkipItem(gone, 'what was skipped is no longer there to be read');
      return 'error' in read ? read.error : undefined;
    },
  };
}
