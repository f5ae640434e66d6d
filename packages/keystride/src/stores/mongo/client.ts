import { MongoClient } from 'mongodb';

/** The database when the URL names none. */
const defaultDatabase = 'keystride';

/** A client that gives up in time. What it reads and writes is safe in {@link databaseOf}. */
export function createMongoClient(url: string): MongoClient {
  return new MongoClient(url, {
    appName: 'keystride',
    serverSelectionTimeoutMS: 5_000,
    // A reply that never comes must not hold a page for ever.
    socketTimeoutMS: 60_000,
    ignoreUndefined: true,
  });
}

/**
 * The database that a URL names, else `keystride`. Whatever the URL asks for, a write has reached the journals of a
 * majority of a replica set when it is acknowledged, and what is read is the primary's: a secondary may lack what is there,
 * and what is looked for in vain is written again, told as missing, or removed.
 */
export function databaseOf(client: MongoClient, url: string) {
  // The driver has read the URL, so that no password holds a slash of its own; hosts may be several.
  const [, named] = /^[^:]+:\/\/[^/?]*\/([^?]+)/u.exec(url) ?? [];
  return client.db(named === undefined ? defaultDatabase : decodeURIComponent(named), {
    writeConcern: { w: 'majority', journal: true },
    readPreference: 'primary',
  });
}
