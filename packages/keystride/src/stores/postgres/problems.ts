import pg from 'pg';
import { addressProblem, hostsOf } from './address.ts';
import { isConnectionLost, NoSuchSession } from './errors.ts';
import { untrusted } from '../untrusted.ts';

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
  if (error instanceof NoSuchSession) return wrongSession(error, place);
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
      todo: 'Raise max_connections, put a pooler in front, run fewer workers, or lower KEYSTRIDE_CONNECTIONS.',
    },
    '53100': {
      what: 'the disk of the database is full',
      todo: 'Free space there, or let its volume grow: whatever waits for it goes on by itself.',
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
      what: `${variable} is no URL`,
      todo: 'Percent-encode special characters of the user and the password.',
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

function wrongSession({ message }: NoSuchSession, { variable }: DatabasePlace): DatabaseProblem {
  return {
    what: `none of the hosts is what target_session_attrs asks for: ${message}`,
    todo: `Wait for the failover to end, or correct the hosts of ${variable}.`,
  };
}

/** What may be wrong about a certificate of the server. Who may do without the check is told how libpq does it. */
const certificates: Readonly<Record<string, { readonly is: string; readonly todo: string }>> = {
  ...Object.fromEntries(
    untrusted.map((code) => [
      code,
      {
        is: 'signed by nobody whom this machine was told to trust',
        todo: 'give the CA that has signed it: sslrootcert=/path/of/its/ca.crt; sslmode=require without sslrootcert encrypts and looks at no certificate.',
      },
    ]),
  ),
  CERT_HAS_EXPIRED: { is: 'expired', todo: 'nothing helps: let the server have a new certificate.' },
  CERT_NOT_YET_VALID: {
    is: 'not valid yet',
    todo: 'nothing helps: look at the clock of this machine, and at the certificate of the server.',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    is: 'for another host name',
    todo: 'name the host as the certificate does; sslmode=verify-ca takes any name that its CA has signed.',
  },
};

function tlsProblem(error: Error, code: string, place: DatabasePlace): DatabaseProblem | undefined {
  const { variable } = place;
  const certificate = certificates[code];
  if (certificate)
    return {
      what: `the certificate of the database at ${partsOf(place.url).address} is ${certificate.is} (${code})`,
      todo: `In ${variable}, ${certificate.todo}`,
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
  const hosts = addressProblem(url) === undefined ? hostsOf(url) : [];
  const parsed = URL.parse(url.replace(/,[^/?#@]*(?=[/?#]|$)/u, ''));
  return {
    user: parsed?.username ? decoded(parsed.username) : 'this user',
    database: decoded(parsed?.pathname.slice(1) ?? ''),
    host: hosts.length > 1 ? hosts.join(', ') : (parsed?.hostname ?? '(not shown)'),
    address: hosts.join(', ') || '(not shown)',
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
