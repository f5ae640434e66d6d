import { MongoClient } from 'mongodb';

/** The database when the URL names none. */
const defaultDatabase = 'keystride';

/** A client whose writes are acknowledged by a majority of a replica set, and the name of its database. */
export function createMongoClient(url: string): MongoClient {
  return new MongoClient(url, {
    appName: 'keystride',
    writeConcern: { w: 'majority' },
    serverSelectionTimeoutMS: 5_000,
    // A reply that never comes must not hold a page for ever.
    socketTimeoutMS: 60_000,
    ignoreUndefined: true,
  });
}

/** The database that a URL names, else `keystride`. */
export function databaseOf(client: MongoClient, url: string) {
  // The driver has read the URL, so that no password holds a slash of its own; hosts may be several.
  const [, named] = /^[^:]+:\/\/[^/?]*\/([^?]+)/u.exec(url) ?? [];
  return client.db(named === undefined ? defaultDatabase : decodeURIComponent(named));
}
