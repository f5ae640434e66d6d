import {
  type AnyBulkWriteOperation,
  type Collection,
  type Filter,
  MongoBulkWriteError,
  MongoServerError,
  type WriteError,
} from 'mongodb';
import { OvertakenWrite, type WriteToken } from '../../contract/write-attempt.ts';
import { duplicateKey } from './errors.ts';
import { requireLedger } from './ledger-mark.ts';
import { requireEachStorable } from './storable.ts';

/** A document that a job writes: keyed by the source, and marked by the attempt that wrote it. */
export interface KeyedDocument extends Pick<WriteToken, 'epoch'> {
  readonly _id: string;
  /** Release 0.1.0 wrote none: such a document is older than any that has one. */
  readonly fence?: number;
}

/** A document before an attempt has marked it. */
export type Unmarked<Document extends KeyedDocument> = Omit<Document, 'epoch' | 'fence'>;

const writeConcernFailed = 64;

/**
 * FerretDB 1.24 holds a connection of its pool of 50 for each replacement until their command ends: fifty in one command
 * wait for one another for ever.
 */
const replacedAtATime = 5;

/** A property that is undefined is left out, whatever the client of the collection is set to. */
const unordered = { ordered: false, ignoreUndefined: true };

/** A document can be there, gone, and there again, while others are at work; beyond that its key is not what is there. */
const mostRounds = 5;

/**
 * Writes documents so that writing them again changes nothing: inserts them all at once, unordered, and replaces only
 * what was there already and was written by an earlier attempt. What a later attempt has written is left alone, so a
 * ghost undoes nothing, and is told so: a write that was refused is never taken for one that was made.
 *
 * Inserting first is the fastest order on every server: a first run has no duplicates.
 *
 * @param attempt whose writes these are, as `prepare` is given it.
 * @param kept fields to return of what was there before.
 * @returns what was there already under the keys, by its key and these fields.
 * @throws UnstorableDocument before anything is written, for a document that would be stored as another one, has no `_id`
 *   or that of another one among them, or a field `epoch` or `fence` of its own.
 * @throws OtherLedger where the collection is written under another ledger.
 * @throws OvertakenWrite when something is there that a later attempt has written; others may have been written.
 */
export async function upsertDocuments<Document extends KeyedDocument, Kept extends keyof Document & string>(
  collection: Collection<Document>,
  documents: readonly Unmarked<Document>[],
  { epoch, fence, ledger }: WriteToken,
  kept: readonly Kept[] = [],
): Promise<Pick<Document, '_id' | Kept>[]> {
  requireEachStorable(documents);
  await requireLedger(collection, ledger);
  const before = new Map<string, Document>();
  let left = documents.map((document) => ({ ...document, epoch, fence }) as unknown as Document);
  for (let round = 1; left.length > 0; round++) {
    const { there, error } = await insertNew(collection, left);
    if (there.length === 0) break;
    // Nothing has this key, and yet it is taken: another unique index of the collection.
    if (round > mostRounds) throw error;
    for (const document of await readMarks(collection, there, fence, kept))
      if (!before.has(document._id)) before.set(document._id, document);
    left = await replace(collection, there, fence);
  }
  return [...before.values()];
}

/** What is under these keys now. @throws OvertakenWrite */
async function readMarks<Document extends KeyedDocument>(
  collection: Collection<Document>,
  documents: readonly Document[],
  fence: number,
  kept: readonly string[],
): Promise<Document[]> {
  const projection = Object.fromEntries(['_id', 'fence', ...kept].map((field) => [field, 1]));
  const found = await collection.find<Document>(withKeys(documents), { projection }).toArray();
  const highest = Math.max(...found.map((document) => document.fence ?? 0));
  if (highest > fence) throw new OvertakenWrite(highest);
  return found;
}

/** Replaces what earlier attempts have written. @returns the documents that did not get there. */
async function replace<Document extends KeyedDocument>(
  collection: Collection<Document>,
  documents: readonly Document[],
  fence: number,
): Promise<Document[]> {
  const missed: Document[] = [];
  for (let first = 0; first < documents.length; first += replacedAtATime) {
    const batch = documents.slice(first, first + replacedAtATime);
    // The driver's types cannot follow a generic document into its filter and its replacement.
    const replacements = batch.map((document) => ({
      replaceOne: {
        filter: { _id: document._id, fence: { $not: { $gt: fence } } },
        replacement: withoutId(document),
      },
    })) as unknown as AnyBulkWriteOperation<Document>[];
    const { matchedCount } = await collection.bulkWrite(replacements, unordered);
    if (matchedCount === batch.length) continue;
    const mine = { $and: [withKeys(batch), { fence }] } as unknown as Filter<Document>;
    const written = await collection.find<Document>(mine, { projection: { _id: 1 } }).toArray();
    const arrived = new Set(written.map(({ _id }) => _id));
    missed.push(...batch.filter(({ _id }) => !arrived.has(_id)));
  }
  return missed;
}

/** Inserts what is new. @returns the documents whose key exists, and what the server said of them. */
async function insertNew<Document extends KeyedDocument>(
  collection: Collection<Document>,
  documents: readonly Document[],
): Promise<{ readonly there: Document[]; readonly error?: MongoBulkWriteError }> {
  try {
    await collection.insertMany(documents as unknown as Parameters<typeof collection.insertMany>[0], {
      ...unordered,
    });
    return { there: [] };
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const errors: WriteError[] = [error.writeErrors].flat();
    // The driver wraps a lost connection in the same class, without a write error: then nobody knows what was written.
    if (errors.length === 0 || errors.some(({ code }) => code !== duplicateKey)) throw error;
    const unacknowledged = error.result.getWriteConcernError();
    if (unacknowledged)
      throw new MongoServerError({
        message: unacknowledged.errmsg ?? 'a majority has not acknowledged the write',
        code: unacknowledged.code ?? writeConcernFailed,
      });
    const there = errors.map(({ index }) => documents[index]).filter((document) => document !== undefined);
    return { there, error };
  }
}

function withKeys<Document extends KeyedDocument>(documents: readonly Document[]): Filter<Document> {
  return { _id: { $in: documents.map(({ _id }) => _id) } } as unknown as Filter<Document>;
}

function withoutId<Document extends KeyedDocument>({ _id, ...rest }: Document): Omit<Document, '_id'> {
  return rest;
}
