import type { Db } from 'mongodb';
import type pg from 'pg';
import type { IdempotentApi } from '../../packages/keystride/src/stores/http/idempotent-api.ts';
import type { LegacyApi } from '../stores/legacy-api.ts';

/** What the jobs work with. */
export interface Resources {
  /** The service's database, the source: read only. */
  readonly service: pg.Pool;
  /** The migration's database, the target, with the ledger. */
  readonly migration: pg.Pool;
  readonly mongo: Db;
  readonly legacyApi: LegacyApi;
  /** Bytes above which a document goes to a file. @default as many as MongoDB takes */
  readonly largestDocument?: number;
  /** The API that messages are sent through. @throws where this worker has none: not every worker needs one */
  messageProvider(): IdempotentApi;
}
