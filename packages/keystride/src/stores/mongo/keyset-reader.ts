import type { Collection, Document, Filter, WithId } from 'mongodb';
import { bytesOf, small } from '../../contract/bytes.ts';
import type { Cursor } from '../../contract/cursor.ts';
import type { ItemRead, ReadPage, ReadRequest, Reader } from '../../contract/reader.ts';
import { cursorOfId, idOfCursor } from './id-keys.ts';
import { refuseCollatedView, refuseRepeated } from './repeated-ids.ts';
import { planIdRanges, spansOf, splitIdRange } from './id-ranges.ts';

export interface MongoSource<Item extends Document> {
  readonly collection: Collection<Item>;
  /** What to read of the collection. @default all */
  readonly filter?: Filter<Item>;
  /** The fields to read; `_id` comes with them in any case. @default all */
  readonly projection?: Document;
}

/**
 * Reads a collection in the order of `_id`, whatever types of it the collection mixes: numbers, strings, UUIDs and
 * other binaries, ObjectIds, dates. MongoDB compares a value with values of its own kind alone (`{ $gt: 5 }` never
 * matches a string), so a range goes through the kinds one after another.
 *
 * The upper end is frozen for each kind when the step opens. An item's cursor is its `_id` as `[type, value]`; its
 * key for people is the same, `objectId:65f0…`.
 *
 * @throws UnusableId for an `_id` of any other type, such as a document, a boolean, null or a timestamp, for NaN, and
 * for one that several documents have, as those of a view may.
 */
export function mongoKeysetReader<Item extends Document>(source: MongoSource<Item>): Reader<WithId<Item>> {
  const collection = source.collection as unknown as Collection;
  const filter = (source.filter ?? {}) as Filter<Document>;
  const fields = source.projection ? { projection: { ...source.projection, _id: 1 } } : {};
  return {
    plan: async ({ partitions, signal }) => {
      await refuseCollatedView(collection, signal);
      return planIdRanges({ collection, filter, partitions, signal });
    },
    read: (request) => readPage<WithId<Item>>(collection, filter, fields, request),
    split: (request) => splitIdRange(collection, filter, request),
    readKeys: ({ keys, signal }) => readById<WithId<Item>>(collection, keys, { ...fields, signal }),
  };
}

interface Fields {
  readonly projection?: Document;
}

async function readPage<Item>(
  collection: Collection,
  filter: Filter<Document>,
  fields: Fields,
  { range, after, limit, bytes: most = Infinity, signal }: ReadRequest,
): Promise<ReadPage<Item>> {
  const found: WithId<Document>[] = [];
  const sizes: number[] = [];
  let bytes = 0;
  // Of documents with one `_id` those behind a page's end would be lost, so the one behind it is looked at.
  const asked = limit + 1;
  for (const { condition } of spansOf(range, after)) {
    if (found.length >= asked || bytes >= most) break;
    const inSpan = { $and: [filter, { _id: condition }] } as Filter<Document>;
    const options = { ...fields, sort: { _id: 1 }, limit: asked - found.length, signal } as const;
    const cursor = collection.find(inSpan, options);
    // The server gives a batch of 16 MB at most; whoever wants no more does not ask for the next.
    while (bytes < most && (await cursor.hasNext())) {
      for (const document of cursor.readBufferedDocuments()) {
        found.push(document);
        sizes.push(bytesOf(document));
        bytes += sizes.at(-1) ?? 0;
      }
    }
    await cursor.close();
  }
  refuseRepeated(found, collection.namespace);
  const items = found.slice(0, limit);
  // Taken out before anybody has the documents: a processor may change them.
  const ids: readonly unknown[] = items.map(({ _id }) => _id);
  const cursorAt = (index: number) => cursorOfId(ids[index]);
  const isCut = bytes >= most && found.length < limit;
  const last = items.at(-1);
  if (last && bytes >= most && found.length <= limit)
    await refuseRepeatedLast(collection, filter, last, signal);
  return {
    items: items as unknown as Item[],
    cursorAt,
    keyAt: (index) => cursorAt(index).join(':'),
    ...(bytes > small ? { bytesAt: (index: number) => sizes[index] ?? 0 } : {}),
    ...(isCut ? { passed: cursorAt(items.length - 1) } : {}),
    last: !isCut && found.length < asked,
  };
}

/** The same for the last document of a page that its bytes have ended: large ones are not read for it. */
async function refuseRepeatedLast(
  collection: Collection,
  filter: Filter<Document>,
  { _id }: WithId<Document>,
  signal: AbortSignal,
): Promise<void> {
  const same = { $and: [filter, { _id: { $eq: _id } }] } as Filter<Document>;
  const options = { projection: { _id: 1 }, limit: 2, signal } as const;
  refuseRepeated(await collection.find(same, options).toArray(), collection.namespace);
}

/** Reads documents by their `_id`, whether the filter still matches them or not: an item that was skipped is due. */
async function readById<Item>(
  collection: Collection,
  keys: readonly Cursor[],
  options: Fields & { readonly signal: AbortSignal },
): Promise<(ItemRead<Item> | undefined)[]> {
  const ids = keys.map((key) => idOfCursor(key).value);
  const wanted = { _id: { $in: ids } } as unknown as Filter<Document>;
  const found = await collection.find(wanted, { ...options, sort: { _id: 1 } }).toArray();
  refuseRepeated(found, collection.namespace);
  const byKey = new Map(found.map((document) => [cursorOfId(document._id).join(':'), document]));
  return keys.map((key) => {
    const item = byKey.get(key.join(':'));
    return item === undefined ? undefined : { item: item as unknown as Item };
  });
}
