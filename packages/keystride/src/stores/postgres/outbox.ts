import type pg from 'pg';
import { v5 as uuidv5 } from 'uuid';
import type { Reader } from '../../contract/reader.ts';
import { bulkUpsert } from './bulk.ts';
import { keysetReader } from './keyset-reader.ts';
import {
  bigint,
  defaulted,
  generated,
  jsonb,
  nullable,
  text,
  timestamp,
  type TypedTables,
  uuid,
} from './columns.ts';
import { typedSql } from './sql.ts';
import type { Transaction } from './transaction.ts';

/** A message for the world outside, before it is written to the outbox. */
export interface NewMessage {
  /** Whom it is for: a member's id, say. */
  readonly recipient: string;
  /** What is sent, as JSON. */
  readonly payload: Readonly<Record<string, unknown>>;
}

/** A message that is to be sent. */
export interface OutboxMessage {
  readonly id: string;
  /** The same on every attempt; whoever receives the message recognises a repeated one by it. */
  readonly idempotencyKey: string;
  /** As it was written, the same on every attempt. */
  readonly payload: unknown;
}

/** The table of messages, called `outbox`, in the database that the jobs write to. */
export const outboxTable = {
  id: generated(bigint),
  topic: text,
  recipient: text,
  payload: jsonb,
  idempotency_key: uuid,
  created_at: defaulted(timestamp),
  sent_at: nullable(timestamp),
};

interface OutboxTables extends TypedTables<{ outbox: typeof outboxTable }> {}

const outbox = typedSql<OutboxTables>();

const upsert = bulkUpsert<OutboxTables>();

/**
 * Writes messages in the transaction of what they tell about: they are there if and only if that has committed.
 * A recipient gets one message of a topic, the first; further ones are left out, in this call and in later ones.
 *
 * @param topic what ties the messages together, most often the job instance.
 * @returns messages written.
 */
export async function addToOutbox(
  transaction: Transaction,
  topic: string,
  messages: readonly NewMessage[],
): Promise<number> {
  return upsert(transaction, {
    table: 'outbox',
    columns: { topic: 'text', recipient: 'text', payload: 'jsonb', idempotency_key: 'uuid' },
    rows: messages.map(({ recipient, payload }) => ({
      topic,
      recipient,
      payload,
      idempotency_key: idempotencyKeyOf(topic, recipient),
    })),
    conflict: ['idempotency_key'],
    update: [],
  });
}

/** The key under which a recipient gets the message of a topic: made of both, so that nothing has to remember it. */
export function idempotencyKeyOf(topic: string, recipient: string): string {
  return uuidv5(JSON.stringify([topic, recipient]), uuidv5.URL);
}

/** Reads the messages of a topic that are not marked as sent, in the order in which they were written. */
export function outboxReader(pool: pg.Pool, topic: string): Reader<OutboxMessage> {
  return keysetReader({
    pool,
    query: outbox
      .selectFrom('outbox')
      .select(['id', 'idempotency_key as idempotencyKey', 'payload'])
      .where('topic', '=', topic)
      .where('sent_at', 'is', null),
    table: 'outbox',
    key: ['id'],
  });
}

/**
 * Marks messages as sent, in the transaction that counts them as written. What was sent and is not marked, because the
 * process died in between, is sent once more under the same key.
 */
export async function markAsSent(
  messages: readonly OutboxMessage[],
  transaction: Transaction,
): Promise<void> {
  await transaction.query(
    'UPDATE outbox SET sent_at = clock_timestamp() WHERE id = ANY($1::bigint[]) AND sent_at IS NULL',
    [messages.map(({ id }) => id)],
  );
}
