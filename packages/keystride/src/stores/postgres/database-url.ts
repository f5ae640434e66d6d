/** An address as far as its hosts, which may be several; and its database. */
const address = /^([a-z+]+:\/\/[^/?#]*)(?:\/([^?#]*))?/iu;

/** The address of another database on the same server. */
export function databaseOn(serverUrl: string, database: string): string {
  return serverUrl.replace(address, (_, server: string) => `${server}/${encodeURIComponent(database)}`);
}

/** The database that an address names. */
export function databaseOf(url: string): string {
  return decodeURIComponent(address.exec(url)?.[2] ?? '');
}
