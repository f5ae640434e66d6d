import { IdempotentApi, sharedCalls } from 'keystride/http';
import { mongo } from 'keystride/mongo';
import { postgres } from 'keystride/postgres';
import { defineResource, httpUrl, numberOfCalls, type Opened, sizeInBytes } from 'keystride/worker';
import { LegacyApi } from './stores/legacy-api.ts';
import { MessageProvider } from './stores/message-provider.ts';

/** What the jobs work with, beside the database that they write to. */
export const resources = {
  /** The source database: only read. */
  service: postgres({ variable: 'SOURCE_DATABASE_URL', title: 'the source database' }),

  mongo: mongo({ variable: 'MONGODB_URL' }),

  legacyApi: defineResource({
    title: 'the legacy API',
    variables: { LEGACY_API_URL: httpUrl, LEGACY_API_CONCURRENCY: numberOfCalls.optional() },
    open: ({ LEGACY_API_URL: url, LEGACY_API_CONCURRENCY: total }, { database }) =>
      new LegacyApi(url, total === undefined ? undefined : sharedCalls(database, total)),
    close: (api) => api.close(),
  }),

  /** Not every worker needs it: a job that does says so where it begins. */
  messageProvider: defineResource({
    title: 'the message provider',
    variables: {
      MESSAGE_PROVIDER_URL: httpUrl.optional(),
      MESSAGE_PROVIDER_CONCURRENCY: numberOfCalls.optional(),
    },
    open: ({ MESSAGE_PROVIDER_URL: url, MESSAGE_PROVIDER_CONCURRENCY: total }, { database }) =>
      new MessageProvider(
        url === undefined
          ? undefined
          : new IdempotentApi(
              url,
              'the message provider',
              total === undefined ? undefined : sharedCalls(database, total),
            ),
      ),
    close: (provider) => provider.close(),
  }),

  /** Bytes above which a document goes to a file; undefined for as many as MongoDB takes. */
  largestDocument: defineResource({
    title: 'the size of documents',
    variables: { KEYSTRIDE_LARGEST_DOCUMENT: sizeInBytes.optional() },
    open: ({ KEYSTRIDE_LARGEST_DOCUMENT: largest }) => largest,
  }),
};

/** What the jobs get. `database` is the one that they write to, with the ledger. */
export type Resources = Opened<typeof resources>;
