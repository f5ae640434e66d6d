import { type Collection, type Document, MongoServerError } from 'mongodb';
import { failure } from '../../contract/errors.ts';
import { duplicateKey } from './errors.ts';

/** The collection that says, in each database, under which ledger its other collections are written. */
export const marksCollection = 'keystride_ledger';

interface Mark {
  readonly _id: string;
  readonly ledger: string;
}

/** What was found to be so. A mark is never changed by us. */
const seen = new WeakMap<object, Set<string>>();

/**
 * Requires of a collection that it is written under this ledger alone, and marks it where nobody has: the fences of two
 * ledgers cannot be compared, and what one does not know of it would take for left behind, and remove.
 *
 * @param ledger as a {@link WriteToken} names it; undefined asks for nothing.
 * @throws OtherLedger
 */
export async function requireLedger<Item extends Document>(
  { db, collectionName }: Pick<Collection<Item>, 'db' | 'collectionName'>,
  ledger: string | undefined,
): Promise<void> {
  if (ledger === undefined) return;
  const known = seen.get(db.client) ?? new Set();
  seen.set(db.client, known);
  const what = `${db.databaseName}.${collectionName} ${ledger}`;
  if (known.has(what)) return;
  const marks = db.collection<Mark>(marksCollection);
  const byName = { _id: collectionName };
  if ((await marks.findOne(byName)) === null)
    await marks.insertOne({ ...byName, ledger }).catch((error: unknown) => {
      // Another worker was first.
      if (!(error instanceof MongoServerError) || error.code !== duplicateKey) throw error;
    });
  const mark = await marks.findOne(byName);
  if (mark?.ledger === ledger) return void known.add(what);
  throw failure(
    'OtherLedger',
    `collection ${collectionName} of MongoDB is written under another ledger (${mark?.ledger}, this one is ${ledger}): each ` +
      'would remove what the other has written. Give each a MongoDB database of its own. If that ledger is gone for good: ' +
      `db.${marksCollection}.deleteOne({ _id: "${collectionName}" })`,
  );
}
