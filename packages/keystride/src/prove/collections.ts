import { createHash } from 'node:crypto';
import { BSON, type Db, type Document, MongoClient } from 'mongodb';
import { documentOfFile } from '../stores/mongo/file-ids.ts';
import { marksCollection } from '../stores/mongo/ledger-mark.ts';
import { patiently } from './patience.ts';

/** The Mongo database of one run. */
export interface RunCollections {
  readonly url: string;
  readonly database: Db;
  /** Takes it away. */
  drop(): Promise<void>;
}

/** The Mongo database of a run, on a server. */
export function collectionsOfRun(serverUrl: string, run: string): RunCollections {
  const url = new URL(serverUrl);
  url.pathname = `/keystride_prove_${run}`;
  const client = new MongoClient(url.href);
  return {
    url: url.href,
    database: client.db(),
    drop: async () => {
      await patiently(() => client.db().dropDatabase());
      await client.close();
    },
  };
}

/** The documents of all collections: place → content → how often. */
export async function readCollections(mongo: Db, since: Date): Promise<Map<string, Map<string, number>>> {
  const effects = new Map<string, Map<string, number>>();
  for (const { name } of await mongo.listCollections({}, { nameOnly: true }).toArray()) {
    // It tells one ledger from another.
    if (name === marksCollection) continue;
    const bag = new Map<string, number>();
    for await (const document of mongo.collection(name).find()) {
      const content = hashOf(comparable(document, since));
      bag.set(content, (bag.get(content) ?? 0) + 1);
    }
    effects.set(`collection ${name}`, bag);
  }
  return effects;
}

/**
 * Without what tells one run from another: the marks of the attempt, in the document and in the ids of its files, an id
 * that the driver made up, the time of writing.
 */
function comparable(document: Document, since: Date): Document {
  const stays = ([name, value]: [string, unknown]) =>
    name !== 'epoch' &&
    name !== 'fence' &&
    !(name === '_id' && value instanceof BSON.ObjectId) &&
    !(value instanceof Date && value >= since);
  const kept = Object.entries(document).filter(stays);
  return Object.fromEntries(
    kept.map(([name, value]) => [
      name,
      typeof value === 'string' ? documentOfFile(value) : (value as unknown),
    ]),
  );
}

function hashOf(document: Document): string {
  return createHash('sha256').update(BSON.serialize(document)).digest('hex');
}
