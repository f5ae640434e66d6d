import type { Collection } from 'mongodb';
import { cursorOfId, UnusableId } from './id-keys.ts';

/**
 * Refuses documents, in the order of their `_id`, of which two have the same one: of those behind the end of a page
 * nothing would be heard. A view that unwinds a list gives such, a time series does, and so do the shards of a collection
 * that is sharded by another field.
 *
 * @throws UnusableId
 */
export function refuseRepeated(documents: readonly { readonly _id: unknown }[], namespace: string): void {
  let before: string | undefined;
  for (const { _id } of documents) {
    const key = cursorOfId(_id).join(':');
    if (key === before)
      throw new UnusableId(
        `${namespace} gives more than one document with the _id ${key}, so it does not tell them apart, and those behind the ` +
          'end of a page would be lost. Read what has one document of each: the collection below a view, or a view whose last ' +
          'stage gives each document an _id of its own.',
      );
    before = key;
  }
}

/** What a server says of a collection, as far as it is looked at. */
interface CollectionKind {
  readonly type?: string;
  readonly options?: { readonly collation?: object };
}

/**
 * Looks whether a collection is a view that has a collation: it may take strings for the same which its documents tell
 * apart. Of a collection the index of `_id` has its collation, and lets no two of them in.
 *
 * @throws UnusableId
 */
export async function refuseCollatedView(
  { db, collectionName, namespace }: Collection,
  signal: AbortSignal,
): Promise<void> {
  for (const kind of await db.listCollections({ name: collectionName }, { signal }).toArray())
    refuseCollated(kind, namespace);
}

/** @throws UnusableId */
export function refuseCollated({ type, options }: CollectionKind, namespace: string): void {
  if (type !== 'view' || options?.collation === undefined) return;
  throw new UnusableId(
    `${namespace} is a view with a collation, by which it may take one _id for another, and those behind the end of a page ` +
      'would be lost. Read a view that has none, or the collection below it.',
  );
}
