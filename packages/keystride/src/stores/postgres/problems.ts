import pg from 'pg';
import { isConnectionLost } from './errors.ts';

/** Why a PostgreSQL could not be used, in words, and what helps. */
export interface DatabaseProblem {
  /** Without anything that a row holds, and without credentials. */
  readonly what: string;
  readonly todo: string;
}

/** Where it was to be. */
export interface DatabasePlace {
  readonly url: string;
  /** The setting that says so. */
  readonly variable: string;
}

/** What PostgreSQL, the way to it or the driver has raised; undefined for an error of another kind. */
export function databaseProblemOf(error: unknown, place: DatabasePlace): DatabaseProblem | undefined {
  if (error instanceof AggregateError) {
    // One for each address of a name.
    const problems = error.errors.map((one) => databaseProblemOf(one, place));
    return problems.find((problem) => problem !== undefined);
  }
  if (error instanceof pg.DatabaseError) return refusalOf(error, place);
  if (!(error instanceof Error)) return undefined;
  return wayProblem(error, codeOf(error), place) ?? tlsProblem(error, codeOf(error), place);
}

function refusalOf(error: pg.DatabaseError, { url, variable }: DatabasePlace): DatabaseProblem {
  const { user, database } = partsOf(url);
  const state = error.code ?? '';
  const known: Record<string, DatabaseProblem> = {
    '28P01': {
      what: `the database refuses the password of ${user} (password authentication failed)`,
      todo: `Correct ${variable}; a password with special characters must be percent-encoded.`,
    },
    '28000': {
      what: `the database lets ${user} not in: it does not know the user, or not from here, or wants TLS (pg_hba.conf)`,
      todo: `Correct ${variable}, add ?sslmode=require to it, or allow this address in pg_hba.conf.`,
    },
    '3D000': {
      what: `there is no database ${database} on this server`,
      todo: `Correct ${variable}, or make it: CREATE DATABASE ${pg.escapeIdentifier(database)}`,
    },
    '42501': {
      what: `${user} lacks a right: ${rightOf(error)}`,
      todo: grantFor(error, user, database),
    },
    '53300': {
      what: 'the database has no connection left',
      todo: 'Raise max_connections, put a pooler in front, or run fewer workers.',
    },
    '57P03': { what: 'the database is starting or recovering', todo: 'Try again in a moment.' },
    '25006': {
      what: 'the database is a standby, or read-only',
      todo: `Let ${variable} lead to the primary.`,
    },
    '42P01': missingTables,
    '3F000': missingTables,
    '42703': {
      what: 'a table of keystride lacks a column: it is of an earlier release',
      todo: 'Run: npx keystride migrate',
    },
    '42883': {
      what: 'the database lacks a function that keystride needs: the server is too old, or search_path hides pg_catalog',
      todo: 'Use PostgreSQL 14 or later.',
    },
  };
  return (
    known[state] ?? {
      what: `the database refused a statement (SQLSTATE ${state})`,
      todo: 'Look into its log for the statement, or try again with --debug.',
    }
  );
}

const missingTables: DatabaseProblem = {
  what: 'the tables of keystride are missing in the database',
  todo: 'Run: npx keystride migrate',
};

/** `permission denied for table x`: names alone, never values. */
function rightOf({ message }: pg.DatabaseError): string {
  return /^(permission denied|must be owner)\b/u.test(message) ? message : 'SQLSTATE 42501';
}

/** The statement that helps, for what the message names. */
function grantFor({ message }: pg.DatabaseError, user: string, database: string): string {
  const [, kind, name = ''] = /^permission denied for (\w+) (\S+)$/u.exec(message) ?? [];
  const role = pg.escapeIdentifier(user);
  if (kind === 'schema') return `As its owner: GRANT USAGE ON SCHEMA ${pg.escapeIdentifier(name)} TO ${role}`;
  if (kind === 'table' || kind === 'view' || kind === 'relation')
    return (
      `As its owner: GRANT SELECT ON ${pg.escapeIdentifier(name)} TO ${role} (the tables that jobs write to, and those ` +
      `of schema keystride, with INSERT, UPDATE and DELETE as well)`
    );
  if (kind === 'sequence')
    return `As its owner: GRANT USAGE ON SEQUENCE ${pg.escapeIdentifier(name)} TO ${role}`;
  if (kind === 'database')
    return `As its owner: GRANT CONNECT, CREATE ON DATABASE ${pg.escapeIdentifier(database)} TO ${role}`;
  if (/create database/u.test(message)) return `As a superuser: ALTER ROLE ${role} CREATEDB`;
  return `Grant it to ${role}, or use the owner of the tables.`;
}

/** The way there: names, ports, what listens. */
function wayProblem(
  error: Error,
  code: string,
  { url, variable }: DatabasePlace,
): DatabaseProblem | undefined {
  const { host, address } = partsOf(url);
  const known: Record<string, DatabaseProblem> = {
    ECONNREFUSED: {
      what: `the database does not answer: nothing listens at ${address} (ECONNREFUSED)`,
      todo: `Check that it is up and that ${variable} is right.`,
    },
    ENOTFOUND: unknownHost(host, code, variable),
    EAI_AGAIN: unknownHost(host, code, variable),
    EHOSTUNREACH: {
      what: `the database does not answer: there is no way to ${host} (${code})`,
      todo: `Look at the network, or correct ${variable}.`,
    },
    ERR_INVALID_URL: {
      what: `${variable} is no URL of one host`,
      todo: 'Percent-encode special characters of the user and the password; of several hosts give the one that leads to the primary.',
    },
  };
  if (known[code]) return known[code];
  if (code === 'ETIMEDOUT' || /timeout expired|timeout exceeded|query read timeout/iu.test(error.message))
    return {
      what: `the database does not answer in time at ${address}`,
      todo: `Look whether it is overloaded, and whether a firewall lets this machine through; else correct ${variable}.`,
    };
  if (isConnectionLost(error) || /^received invalid response|message type code/iu.test(error.message))
    return {
      what: `what answers at ${address} ends the connection or speaks something else than PostgreSQL`,
      todo: `Look whether it is a PostgreSQL and takes connections, or correct ${variable}.`,
    };
  return undefined;
}

function unknownHost(host: string, code: string, variable: string): DatabaseProblem {
  return {
    what: `the database's host ${host} has no address: its name is not known here (${code})`,
    todo: `Correct ${variable}, or look at the DNS of this machine.`,
  };
}

/** What OpenSSL says of certificates. */
const untrusted = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
];

function tlsProblem(error: Error, code: string, { variable }: DatabasePlace): DatabaseProblem | undefined {
  if (untrusted.includes(code))
    return {
      what: `the certificate of the database is signed by nobody whom this machine trusts (${code})`,
      todo:
        `In ${variable}: sslrootcert=/path/of/its/ca.crt with sslmode=verify-full trusts it; sslmode=no-verify encrypts ` +
        `without looking at it, as libpq does for sslmode=require (so does uselibpqcompat=true&sslmode=require).`,
    };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return {
      what: `the certificate of the database is for another host name (${code})`,
      todo: `In ${variable}, name the host as the certificate does, or give sslmode=verify-ca with uselibpqcompat=true.`,
    };
  if (
    code.startsWith('CERT_') ||
    code.startsWith('ERR_SSL') ||
    code.startsWith('ERR_TLS') ||
    code === 'EPROTO'
  )
    return {
      what: `no encrypted connection to the database can be made (${code})`,
      todo: `Look at the certificates of both sides, and at sslmode, sslrootcert, sslcert and sslkey in ${variable}.`,
    };
  if (/does not support SSL/u.test(error.message))
    return {
      what: 'the database takes no encrypted connections, and one was asked for',
      todo: `Turn TLS on there, or give sslmode=disable in ${variable}.`,
    };
  if (/establishing an SSL connection/u.test(error.message))
    return {
      what: 'what answers there is no PostgreSQL',
      todo: `Correct ${variable}.`,
    };
  if (code === 'ENOENT' || code === 'EACCES')
    return {
      what: `a certificate that ${variable} names cannot be read (${code})`,
      todo: `Correct sslrootcert, sslcert or sslkey in ${variable}.`,
    };
  return undefined;
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Whatever of an address may be shown. */
function partsOf(url: string): { user: string; database: string; host: string; address: string } {
  const parsed = URL.parse(url);
  const host = parsed?.hostname ?? '(not shown)';
  return {
    user: parsed?.username ? decoded(parsed.username) : 'this user',
    database: decoded(parsed?.pathname.slice(1) ?? ''),
    host,
    address: `${host}:${parsed?.port || '5432'}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
