import type { Opened } from 'keystride/worker';

/**
 * What the jobs work with, beside the database that they write to: say
 * `shop: postgres({ variable: 'SHOP_DATABASE_URL', title: "the shop's database" })`, and a worker asks for that variable.
 */
export const resources = {};

/** What the jobs get. `database` is the one of `DATABASE_URL`, with the ledger. */
export type Resources = Opened<typeof resources>;
