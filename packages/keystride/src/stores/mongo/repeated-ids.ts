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
