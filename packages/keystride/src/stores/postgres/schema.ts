import type { ColumnType } from 'kysely';

/**
 * The tables as plain data: the one place that says which columns exist. The Kysely types below derive from
 * it, and a test compares it with the catalogue of a migrated database, so neither can drift from the SQL.
 */
export interface ColumnDescription<
  Type extends keyof ColumnValues = keyof ColumnValues,
  Nullable extends boolean = boolean,
  Value extends ValueOrigin = ValueOrigin,
> {
  type: Type;
  nullable: Nullable;
  value: Value;
}

/** Who gives the value when an insert does not: nobody, the database, or only ever the database. */
type ValueOrigin = 'required' | 'defaulted' | 'generated';

/** What `pg` returns for a type, and what it takes. */
interface ColumnValues {
  // Text, because a number has no room for all 64 bits.
  bigint: { selected: string; written: string | number | bigint };
  integer: { selected: number; written: number };
  text: { selected: string; written: string };
  'character varying': { selected: string; written: string };
  uuid: { selected: string; written: string };
  boolean: { selected: boolean; written: boolean };
  date: { selected: string; written: string };
  // Text: our pools do not parse it, because a JavaScript Date cuts microseconds.
  'timestamp with time zone': { selected: string; written: Date | string };
  // Written as JSON text, because `pg` would make a PostgreSQL array of a JavaScript one.
  jsonb: { selected: unknown; written: string };
}

function column<Type extends keyof ColumnValues>(type: Type): ColumnDescription<Type, false, 'required'> {
  return { type, nullable: false, value: 'required' };
}

function nullable<Type extends keyof ColumnValues>({
  type,
}: ColumnDescription<Type, false, 'required'>): ColumnDescription<Type, true, 'required'> {
  return { type, nullable: true, value: 'required' };
}

function defaulted<Type extends keyof ColumnValues>({
  type,
}: ColumnDescription<Type, false, 'required'>): ColumnDescription<Type, false, 'defaulted'> {
  return { type, nullable: false, value: 'defaulted' };
}

function generated<Type extends keyof ColumnValues>({
  type,
}: ColumnDescription<Type, false, 'required'>): ColumnDescription<Type, false, 'generated'> {
  return { type, nullable: false, value: 'generated' };
}

const bigint = column('bigint');
const integer = column('integer');
const text = column('text');
const varchar = column('character varying');
const uuid = column('uuid');
const boolean = column('boolean');
const date = column('date');
const timestamp = column('timestamp with time zone');
const jsonb = column('jsonb');

const schemaMigration = {
  set: text,
  name: text,
  checksum: text,
  applied_at: defaulted(timestamp),
} satisfies TableDescription;

type TableDescription = Record<string, ColumnDescription>;

/** The service's database: the source of targetSync. */
export const serviceTables = {
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
  'keystride.schema_migration': schemaMigration,
} satisfies Record<string, TableDescription>;

/** The migration database: the domain tables that jobs write to, and the ledger. */
export const migrationTables = {
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
  outbox: {
    id: generated(bigint),
    topic: text,
    recipient: text,
    payload: jsonb,
    idempotency_key: uuid,
    created_at: defaulted(timestamp),
    sent_at: nullable(timestamp),
  },
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
  'keystride.instance': {
    instance_key: text,
    job: text,
    params: jsonb,
    epoch: bigint,
    owner_workflow_id: text,
    owner_run_id: text,
    status: text,
    opened_at: defaulted(timestamp),
    closed_at: nullable(timestamp),
    redrives: nullable(text),
    repair_fence: nullable(bigint),
  },
  'keystride.fence': {
    one: defaulted(boolean),
    last: bigint,
  },
  'keystride.step': {
    instance_key: text,
    step: text,
    status: text,
    epoch: bigint,
    starts: defaulted(integer),
    result: nullable(jsonb),
    expected: nullable(bigint),
    skipped: defaulted(bigint),
    skip_limit: defaulted(bigint),
    opened_at: defaulted(timestamp),
    closed_at: nullable(timestamp),
    counted: nullable(boolean),
  },
  'keystride.checkpoint': {
    instance_key: text,
    step: text,
    partition: integer,
    lower: nullable(text),
    upper: nullable(text),
    cursor: nullable(text),
    epoch: bigint,
    seq: defaulted(bigint),
    holder: nullable(text),
    read: defaulted(bigint),
    read_skipped: defaulted(bigint),
    filtered: defaulted(bigint),
    written: defaulted(bigint),
    skipped: defaulted(bigint),
    done: defaulted(boolean),
    updated_at: defaulted(timestamp),
  },
  'keystride.skip': {
    instance_key: text,
    step: text,
    item_key: text,
    phase: text,
    code: text,
    fingerprint: text,
    message: text,
    item: nullable(jsonb),
    partition: integer,
    attempts: defaulted(integer),
    status: defaulted(text),
    created_at: defaulted(timestamp),
    cursor: nullable(text),
    redrive: nullable(text),
    place: nullable(integer),
    settled_at: nullable(timestamp),
    settled_by: nullable(text),
    reason: nullable(text),
  },
  'keystride.ledger': {
    id: defaulted(uuid),
    singleton: defaulted(boolean),
  },
  'keystride.dead_letter': {
    instance_key: text,
    epoch: bigint,
    workflow_id: text,
    run_id: text,
    step: text,
    partition: integer,
    item_key: text,
    phase: text,
    code: text,
    fingerprint: text,
    message: text,
    attempts: integer,
    created_at: defaulted(timestamp),
  },
  'keystride.call_share': {
    api: text,
    worker: uuid,
    calls: integer,
    expires_at: timestamp,
  },
  'keystride.stream_offset': {
    stream: text,
    cursor: nullable(text),
    updated_at: defaulted(timestamp),
    horizon: nullable(text),
    place: nullable(text),
    source: nullable(text),
    key: nullable(jsonb),
    swept_at: nullable(timestamp),
    moves: defaulted(bigint),
    shape: nullable(jsonb),
  },
  'keystride.met_shape': {
    instance_key: text,
    shape: jsonb,
  },
  'keystride.postponed_row': {
    instance_key: text,
    step: text,
    cursor: text,
    partition: integer,
    number: generated(bigint),
  },
  'keystride.schema_migration': schemaMigration,
} satisfies Record<string, TableDescription>;

/** Kysely's view of the service's database. */
export interface ServiceDatabase extends TypedTables<typeof serviceTables> {}

/** Kysely's view of the migration database. */
export interface MigrationDatabase extends TypedTables<typeof migrationTables> {}

type TypedTables<Tables extends Record<string, TableDescription>> = {
  [Table in keyof Tables]: { [Column in keyof Tables[Table]]: TypedColumn<Tables[Table][Column]> };
};

type TypedColumn<Column extends ColumnDescription> = ColumnType<
  ColumnValues[Column['type']]['selected'] | NullOf<Column>,
  Inserted<Column>,
  Column['value'] extends 'generated' ? never : Written<Column>
>;

type Inserted<Column extends ColumnDescription> = Column['value'] extends 'generated'
  ? never
  : Column['value'] extends 'defaulted'
    ? Written<Column> | undefined
    : Column['nullable'] extends true
      ? Written<Column> | undefined
      : Written<Column>;

type Written<Column extends ColumnDescription> = ColumnValues[Column['type']]['written'] | NullOf<Column>;

type NullOf<Column extends ColumnDescription> = Column['nullable'] extends true ? null : never;
