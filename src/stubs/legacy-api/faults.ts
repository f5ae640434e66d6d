import { fraction } from './hash.ts';
import type { Behaviour, Fault } from './settings.ts';

/** The domain rules that the stub knows, with the message that comes with each. */
const domainMessages: Readonly<Record<string, string>> = {
  UNSUPPORTED_FORMAT: 'The format of this document is no longer supported',
  ENCRYPTED_DOCUMENT: 'This document is encrypted and nobody has its key',
  UNSUPPORTED_LANGUAGE: 'The language of this document is not supported',
};

/**
 * What a call meets instead of a plain document, if anything.
 *
 * Overrides win, then what happens to a share of the calls, then what is wrong with a share of the keys. No
 * chance is involved: the same seed, key and attempt always meet the same fault.
 *
 * @param attempt which call of this key it is, from 1
 */
export function decideFault(
  behaviour: Behaviour,
  seed: string,
  ticketKey: string,
  attempt: number,
): Fault | undefined {
  if (Object.hasOwn(behaviour.overrides, ticketKey)) {
    const override = behaviour.overrides[ticketKey];
    if (override !== undefined && attempt <= override.times) return override.fault;
  }
  return (
    pick(callFaults(behaviour), fraction(seed, 'call', ticketKey, attempt)) ??
    pick(keyFaults(behaviour), fraction(seed, 'key', ticketKey))
  );
}

type FaultShare = readonly [share: number, fault: Fault];

function callFaults(behaviour: Behaviour): FaultShare[] {
  return [
    [behaviour.tooMany, { kind: 'status', status: 429 }],
    [behaviour.unavailable, { kind: 'status', status: 503 }],
    [behaviour.serverError, { kind: 'status', status: 500 }],
    [behaviour.hang, { kind: 'hang' }],
    [behaviour.truncate, { kind: 'truncate' }],
    [behaviour.invalidJson, { kind: 'invalid-json' }],
    [behaviour.redirect, { kind: 'redirect' }],
  ];
}

function keyFaults(behaviour: Behaviour): FaultShare[] {
  return [
    [behaviour.notFound, { kind: 'status', status: 404 }],
    [behaviour.malformed, { kind: 'status', status: 400 }],
    [behaviour.unsupported, { kind: 'status', status: 422, code: 'UNSUPPORTED_FORMAT' }],
  ];
}

function pick(shares: readonly FaultShare[], position: number): Fault | undefined {
  let end = 0;
  for (const [share, fault] of shares) {
    end += share;
    if (position < end) return fault;
  }
  return undefined;
}

/** Milliseconds until the answer of a call: the latency, give or take the jitter. */
export function latencyOf(behaviour: Behaviour, seed: string, ticketKey: string, attempt: number): number {
  const sway = (2 * fraction(seed, 'latency', ticketKey, attempt) - 1) * behaviour.jitter;
  return Math.max(0, behaviour.latency + sway);
}

/** The Retry-After header in one of its two forms: seconds on odd attempts, an HTTP date on even ones. */
export function retryAfterHeader(seconds: number, attempt: number, now: Date): string {
  if (attempt % 2 === 1) return String(seconds);
  // A date has no fractions of a second: round up, so that nobody may come back too early.
  return new Date(Math.ceil(now.getTime() / 1000 + seconds) * 1000).toUTCString();
}

/** The status codes and bodies of errors as the legacy API words them. */
export function errorBody(ticketKey: string, status: number, code?: string): string {
  const known: Record<number, readonly [code: string, message: string]> = {
    400: ['MALFORMED_REQUEST', 'The request is malformed'],
    404: ['NOT_FOUND', `There is no document ${ticketKey}`],
    422: ['UNSUPPORTED_FORMAT', 'The format of this document is no longer supported'],
    429: ['TOO_MANY_REQUESTS', 'Too many calls at once: come back later'],
    503: ['UNAVAILABLE', 'The service is down for a moment: come back later'],
  };
  const [usualCode, usualMessage] = known[status] ?? ['INTERNAL_ERROR', 'Something went wrong'];
  if (code === undefined || code === usualCode) {
    return JSON.stringify({ code: usualCode, message: usualMessage });
  }
  return JSON.stringify({
    code,
    message: domainMessages[code] ?? `A domain rule refuses the document: ${code}`,
  });
}
