import {
  bigint,
  boolean,
  date,
  defaulted,
  generated,
  integer,
  nullable,
  text,
  timestamp,
  uuid,
  varchar,
  type TableDescription,
  type TypedTables,
  outboxTable,
  typedSql,
} from 'keystride/postgres';

/** What the jobs read, in the database that `SOURCE_DATABASE_URL` names. */
export const sourceTables = {
  legacy_document: {
    id: defaulted(bigint),
    ticket_key: text,
    member_id: nullable(bigint),
    document_name: nullable(text),
    uploaded_at: nullable(timestamp),
    updated_at: defaulted(timestamp),
  },
  preprocess_document: {
    id: defaulted(bigint),
    ticket_key: text,
  },
} satisfies Record<string, TableDescription>;

/** What the jobs write to, in the database of the ledger, `DATABASE_URL`. */
export const targetTables = {
  migration_target: {
    id: generated(bigint),
    ticket_key: text,
    member_id: nullable(bigint),
    document_name: nullable(text),
    uploaded_at: nullable(timestamp),
    migrated: defaulted(boolean),
    migrated_at: nullable(timestamp),
    preprocess_id: nullable(uuid),
  },
  preprocess_job: {
    id: uuid,
    ticket_key: text,
    status: text,
    sentence_count: integer,
    sha256: text,
    created_at: defaulted(timestamp),
    updated_at: defaulted(timestamp),
  },
  expected_migration_target: {
    id: generated(bigint),
    migration_target_id: bigint,
    ticket_key: text,
    code: integer,
    message: text,
    created_at: defaulted(timestamp),
  },
  orders: {
    id: generated(bigint),
    customer_id: bigint,
    amount: bigint,
    status: text,
    delivered_at: nullable(timestamp),
    purchase_confirmed_at: nullable(timestamp),
    created_at: defaulted(timestamp),
  },
  coupon: {
    id: generated(bigint),
    name: text,
    description: text,
    amount_type: text,
    amount: bigint,
    created_by_instance: nullable(text),
    created_at: defaulted(timestamp),
  },
  member_coupon: {
    id: generated(bigint),
    member_id: bigint,
    coupon_id: bigint,
    status: defaulted(text),
    exchanged_from: nullable(bigint),
    exchanged_at: nullable(timestamp),
    created_at: defaulted(timestamp),
  },
  outbox: outboxTable,
  management: {
    id: generated(bigint),
    member_id: bigint,
    medication_name: varchar,
    morning: defaulted(boolean),
    lunch: defaulted(boolean),
    dinner: defaulted(boolean),
    sleep: defaulted(boolean),
    morning_taking: defaulted(boolean),
    lunch_taking: defaulted(boolean),
    dinner_taking: defaulted(boolean),
    sleep_taking: defaulted(boolean),
    start_date: date,
    end_date: date,
    created_at: defaulted(timestamp),
    modified_at: defaulted(timestamp),
    deleted: defaulted(boolean),
  },
  history: {
    id: generated(bigint),
    management_id: bigint,
    member_id: bigint,
    morning: boolean,
    lunch: boolean,
    dinner: boolean,
    sleep: boolean,
    morning_taking: boolean,
    lunch_taking: boolean,
    dinner_taking: boolean,
    sleep_taking: boolean,
    taking_date: date,
    created_at: defaulted(timestamp),
    modified_at: defaulted(timestamp),
    deleted: defaulted(boolean),
  },
  point_event: {
    id: generated(bigint),
    member_id: bigint,
    type: text,
    amount: bigint,
    occurred_at: timestamp,
  },
  point_cut_off: {
    settlement_date: date,
    rerun: integer,
    last_event_id: bigint,
    cut_off_at: defaulted(timestamp),
  },
  point_settlement: {
    settlement_date: date,
    member_id: bigint,
    accrued: defaulted(bigint),
    used: defaulted(bigint),
    expired: defaulted(bigint),
  },
  point_daily_total: {
    settlement_date: date,
    accrued: bigint,
    used: bigint,
    expired: bigint,
    members: bigint,
  },
} satisfies Record<string, TableDescription>;

export interface TargetDatabase extends TypedTables<typeof targetTables> {}

/** Builds SQL on the source. */
export const source = typedSql<TypedTables<typeof sourceTables>>();

/** Builds SQL on the target. */
export const target = typedSql<TargetDatabase>();
