import pg from 'pg';
import { connectionLost } from './errors.ts';

/** Messages of PostgreSQL that are always the same, so that nothing of a row is in them. */
const fixed: readonly RegExp[] = [
  /^canceling statement due to (statement timeout|lock timeout|user request|conflict with recovery)$/u,
  /^terminating connection due to [a-z -]{1,60}$/u,
  /^the database system is (starting up|shutting down|in recovery mode|not yet accepting connections|not accepting connections)$/u,
  /^deadlock detected$/u,
  /^could not serialize access due to [a-z/ ]{1,60}$/u,
  /^current transaction is aborted, commands ignored until end of transaction block$/u,
  /^division by zero$/u,
];

/** Messages about what a statement names. They are told of our statements, and not of one that a function has put together. */
const naming: readonly RegExp[] = [
  /^(relation|schema|type|role|database|sequence|extension|collation|server) "[^"\n]{1,200}" does not exist$/u,
  /^(relation|schema|type|role|database|extension|collation) "[^"\n]{1,200}" already exists$/u,
  /^(column|constraint|trigger|policy|rule) "[^"\n]{1,200}" (of|for) relation "[^"\n]{1,200}" already exists$/u,
  /^column "?[^"\n]{1,200}"? (of relation "[^"\n]{1,200}" )?does not exist$/u,
  /^(function|operator) [^\n'"]{1,200} does not exist$/u,
  /^permission denied for (table|schema|sequence|database|function|view|column|type|language) [^\n'"]{1,200}$/u,
  /^must be (owner of|superuser|member of|able to) ?[^\n'"]{0,200}$/u,
  /^password authentication failed for user "[^"\n]{1,200}"$/u,
  /^no partition of relation "[^"\n]{1,200}" found for row$/u,
];

/** What a class of SQLSTATE means, in our words: the longest beginning that is listed. */
const meanings: Readonly<Record<string, string>> = {
  '08': 'the connection to the database failed',
  '21': 'a statement met more rows than it may',
  '22': 'the database refused a value',
  '22P05': 'a character has no place in the encoding of the database',
  '23': 'the database refused a value',
  '25': 'the transaction is in no state for this',
  '25006': 'the database takes no writes: it is a standby, or read-only',
  '28': 'the database refuses this user or password',
  '3D000': 'the database does not exist',
  '3F000': 'a schema does not exist',
  '40': 'the transaction was rolled back',
  '42': 'the database refused a statement',
  '42501': 'the database denies permission',
  '42703': 'a column does not exist',
  '42883': 'a function or operator does not exist',
  '42P01': 'a table does not exist',
  '44': 'the database refused a value',
  '53': 'the database lacks resources',
  '53100': 'the disk of the database is full',
  '53200': 'the database is out of memory',
  '53300': 'the database has no connection left for us',
  '54': 'a limit of the database was exceeded',
  '55': 'an object of the database is in no state for this',
  '57': 'the session was terminated or its statement cancelled',
  '58': 'the machine of the database failed',
  HV: 'a foreign table failed',
  P0: 'a function or trigger of the database refused this',
  XX: 'the database met an internal error',
};

/**
 * An error of PostgreSQL in words that may be shown: its SQLSTATE, what that means, and the names of what is in the
 * database. Its own message, detail, hint and query may hold what a row holds, and are let through only where they are
 * one of the texts that cannot.
 */
export function postgresMessage(error: unknown): string | undefined {
  if (error instanceof pg.DatabaseError) return ofDatabase(error);
  const lost = error instanceof Error ? connectionLost.exec(error.message)?.[0] : undefined;
  return lost;
}

function ofDatabase(error: pg.DatabaseError): string {
  const state = /^[0-9A-Z]{5}$/u.test(error.code ?? '') ? (error.code ?? '') : 'unknown';
  const told = [...fixed, ...(error.where === undefined ? naming : [])];
  const own = told.some((pattern) => pattern.test(error.message)) ? error.message : meaningOf(state);
  const places = placesOf(error);
  return `${own} (SQLSTATE ${state})${places.length > 0 ? `: ${places.join(', ')}` : ''}`;
}

function meaningOf(state: string): string {
  for (let length = state.length; length >= 2; length--) {
    const meaning = meanings[state.slice(0, length)];
    if (meaning !== undefined) return meaning;
  }
  return 'the database refused this';
}

/** The names that an error has of tables, columns, constraints and functions. What `RAISE` says of them may be anything. */
function placesOf({ table, column, constraint, where = '' }: pg.DatabaseError): string[] {
  const [, routine, line, doing] =
    /^PL\/pgSQL function ([\w.$]{1,130}|inline_code_block)(?:\([^\n'"]*\))? line (\d+) at ([\w ]+)/u.exec(
      where,
    ) ?? [];
  const named = { table, column, constraint };
  const names = Object.entries(doing === 'RAISE' ? {} : named).flatMap(([kind, name]) =>
    name !== undefined && isName(name) ? [`${kind} ${name}`] : [],
  );
  return [...names, ...(routine === undefined ? [] : [`function ${routine} line ${line}`])];
}

/** PostgreSQL cuts its names at 63 bytes. */
function isName(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= 63 && !/\p{Cc}/u.test(text);
}
