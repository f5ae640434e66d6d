import {
  type AnyBulkWriteOperation,
  type Collection,
  MongoBulkWriteError,
  MongoServerError,
  type WriteError,
} from 'mongodb';
import { duplicateKey } from './errors.ts';

/** A document that a job writes: keyed by the source, and marked by the execution that wrote it. */
export interface KeyedDocument {
  readonly _id: string;
  readonly epoch: number;
}

const writeConcernFailed = 64;

/**
 * FerretDB 1.24 holds a connection of its pool of 50 for each replacement until their command ends: fifty in one command
 * wait for one another for ever.
 */
const replacedAtATime = 5;

/**
 * Writes documents so that writing them again changes nothing: inserts them all at once, unordered, and replaces only
 * what was there already. A document of a later epoch is left alone, so a ghost undoes nothing.
 *
 * Inserting first is the fastest order on every server: a first run has no duplicates.
 *
 * @returns the keys that were there already.
 */
export async function upsertDocuments<Document extends KeyedDocument>(
  collection: Collection<Document>,
  documents: readonly Document[],
): Promise<string[]> {
  if (documents.length === 0) return [];
  const there = await insertNew(collection, documents);
  if (there.length === 0) return [];
  // The driver's types cannot follow a generic document into its filter and its replacement.
  const replacements = there.map((document) => ({
    replaceOne: {
      filter: { _id: document._id, epoch: { $lte: document.epoch } },
      replacement: withoutId(document),
    },
  })) as unknown as AnyBulkWriteOperation<Document>[];
  for (let first = 0; first < replacements.length; first += replacedAtATime)
    await collection.bulkWrite(replacements.slice(first, first + replacedAtATime), { ordered: false });
  return there.map(({ _id }) => _id);
}

/** Inserts what is new. @returns the documents whose key exists. */
async function insertNew<Document extends KeyedDocument>(
  collection: Collection<Document>,
  documents: readonly Document[],
): Promise<Document[]> {
  try {
    await collection.insertMany(documents as unknown as Parameters<typeof collection.insertMany>[0], {
      ordered: false,
    });
    return [];
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
    return errors.map(({ index }) => documents[index]).filter((document) => document !== undefined);
  }
}

function withoutId<Document extends KeyedDocument>({ _id, ...rest }: Document): Omit<Document, '_id'> {
  return rest;
}
