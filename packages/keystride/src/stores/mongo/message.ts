import type { MongoError, TopologyDescription } from 'mongodb';
import { systemMessage } from '../system-errors.ts';
import { isBsonError, isDriverError } from './driver-error.ts';

/** The limit of the protocol, met before anything is sent. */
const tooLarge = /out of range|too large|larger than/iu;

/**
 * An error of MongoDB or its driver in words that may be shown: its class, code and the fields of the index. Its message
 * may hold the values of a key, a document, or the address with its password.
 */
export function mongoMessage(error: unknown): string | undefined {
  if (isBsonError(error)) return `${nameOf(error)} (the document cannot be written as BSON)`;
  // So the driver reports a document that does not fit into its buffer.
  if (error instanceof RangeError && tooLarge.test(error.message) && /bson|mongodb/u.test(error.stack ?? ''))
    return 'RangeError (the document is too large for MongoDB)';
  if (!isDriverError(error, 'MongoError')) return undefined;
  const parts = [codeOf(error), indexOf(error), ...reachOf(error)].filter(Boolean);
  return parts.length === 0 ? nameOf(error) : `${nameOf(error)} (${parts.join(', ')})`;
}

function nameOf(error: Error): string {
  return /^\w{1,60}$/u.test(error.name) ? error.name : 'MongoError';
}

function codeOf(error: MongoError): string {
  if (error.code === undefined) return '';
  const name = isDriverError(error, 'MongoServerError') ? error.codeName : undefined;
  const told = typeof name === 'string' && /^[A-Za-z]{1,60}$/u.test(name) ? ` ${name}` : '';
  return Number.isInteger(Number(error.code)) ? `code ${error.code}${told}` : '';
}

function indexOf(error: MongoError): string {
  const { keyPattern } = error as { readonly keyPattern?: unknown };
  if (typeof keyPattern !== 'object' || keyPattern === null) return '';
  const fields = Object.keys(keyPattern).filter((field) => /^[\w.-]{1,120}$/u.test(field));
  return fields.length > 0 ? `index on ${fields.join(', ')}` : '';
}

/** Why no server could be had, by the system's own codes. */
function reachOf(error: MongoError): string[] {
  const causes = isDriverError(error, 'MongoServerSelectionError')
    ? [...((error.reason as Partial<TopologyDescription> | undefined)?.servers?.values() ?? [])]
    : [];
  const errors = [error.cause, ...causes.map((server) => server.error)];
  const told = errors.flatMap((at) => systemOf(at) ?? []);
  return [...new Set(told)];
}

function systemOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const told = systemMessage(at);
    if (told !== undefined) return told;
  }
  return undefined;
}
