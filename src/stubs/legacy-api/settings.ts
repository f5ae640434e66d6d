import { z } from 'zod';
import { milliseconds, refuseExcess, retryAfterSeconds, share, withChange } from '../behaviour.ts';

/** A document size and how often it occurs relative to the others. */
export interface SizeChoice {
  bytes: number;
  weight: number;
}

const UNIT_BYTES: Record<string, number> = { B: 1, KB: 1e3, MB: 1e6, KiB: 2 ** 10, MiB: 2 ** 20 };

/** The largest document the stub makes: a client that asks for more has a typing error. */
const MAXIMUM_DOCUMENT_BYTES = 512 * 2 ** 20;

/** Reads a size such as `2KiB`, `18MiB`, `12MB` or `500B`; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(B|KB|MB|KiB|MiB)$/.exec(text.trim());
  if (match === null) return undefined;
  const bytes = Math.round(Number(match[1]) * (UNIT_BYTES[match[2] ?? ''] ?? Number.NaN));
  return bytes > 0 && bytes <= MAXIMUM_DOCUMENT_BYTES ? bytes : undefined;
}

/** Reads a size distribution such as `2KiB:80,40KiB:19,18MiB:1`; a size alone has weight 1. */
export function parseSizes(text: string): SizeChoice[] | undefined {
  const choices = text.split(',').map((part) => {
    const [size = '', weight = '1', ...rest] = part.split(':');
    return { bytes: parseSize(size) ?? Number.NaN, weight: rest.length > 0 ? Number.NaN : Number(weight) };
  });
  const valid = choices.every(({ bytes, weight }) => bytes > 0 && weight > 0 && Number.isFinite(weight));
  return valid ? choices : undefined;
}

/** What one key, or a share of the calls, meets instead of its document. */
export type Fault =
  | { kind: 'status'; status: number; code?: string }
  | { kind: 'size'; bytes: number }
  | { kind: 'hang' | 'stall' | 'truncate' | 'reset' | 'invalid-json' | 'wrong-shape' | 'redirect' };

/** A fault forced on one ticket key, for its first `times` calls or for all of them. */
export interface Override {
  fault: Fault;
  times: number;
}

const NAMED_FAULTS = [
  'hang',
  'stall',
  'truncate',
  'reset',
  'invalid-json',
  'wrong-shape',
  'redirect',
] as const;

const OVERRIDE_HELP =
  `a status (400 to 599), a domain code (UNSUPPORTED_FORMAT), a size (18MiB) or one of ` +
  `${NAMED_FAULTS.join(', ')}; with *N at the end for the first N calls only`;

/** Reads the right side of an override: `404`, `hang`, `18MiB`, `UNSUPPORTED_FORMAT`, `503*2`. */
export function parseOverride(text: string): Override | undefined {
  const [name = '', times, ...rest] = text.split('*');
  const fault = parseFault(name);
  const limit = times === undefined ? Number.POSITIVE_INFINITY : Number(times);
  if (fault === undefined || rest.length > 0 || !(limit >= 1)) return undefined;
  if (times !== undefined && !Number.isInteger(limit)) return undefined;
  return { fault, times: limit };
}

function parseFault(name: string): Fault | undefined {
  const named = NAMED_FAULTS.find((kind) => kind === name);
  if (named !== undefined) return { kind: named };
  if (/^[45]\d\d$/.test(name)) return { kind: 'status', status: Number(name) };
  if (/^[A-Z][A-Z_]+$/.test(name)) return { kind: 'status', status: 422, code: name };
  const bytes = parseSize(name);
  return bytes === undefined ? undefined : { kind: 'size', bytes };
}

const override = z.string().transform((text, context) => {
  const parsed = parseOverride(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not ${OVERRIDE_HELP}` });
  return z.NEVER;
});

/** What may change while the stub runs: everything but the documents themselves. */
export const behaviourSchema = z.strictObject({
  /** Milliseconds from a call to its answer. */
  latency: milliseconds,
  /** Milliseconds that the latency varies by, up and down. */
  jitter: milliseconds,
  /** Shares of the ticket keys; a key always answers the same. */
  notFound: share,
  malformed: share,
  unsupported: share,
  /** Shares of the calls; the same key may fare better the next time. */
  tooMany: share,
  unavailable: share,
  serverError: share,
  hang: share,
  truncate: share,
  invalidJson: share,
  redirect: share,
  retryAfter: retryAfterSeconds,
  /** Calls that are worked on at a time; null for no limit. */
  maxConcurrent: z.int().min(1).nullable(),
  /** Calls above `maxConcurrent` that wait for their turn; those beyond are answered 429 at once. */
  maxQueued: z.int().min(0),
  overrides: z.record(z.string(), override),
});

/** See the fields of {@link behaviourSchema}. */
export type Behaviour = z.output<typeof behaviourSchema>;

export const defaultBehaviour: Behaviour = {
  latency: 0,
  jitter: 0,
  notFound: 0,
  malformed: 0,
  unsupported: 0,
  tooMany: 0,
  unavailable: 0,
  serverError: 0,
  hang: 0,
  truncate: 0,
  invalidJson: 0,
  redirect: 0,
  retryAfter: 1,
  maxConcurrent: null,
  maxQueued: 0,
  overrides: {},
};

/**
 * Changes a part of the behaviour.
 * @param change an object with some of the fields of {@link behaviourSchema}, of unknown origin
 * @throws Error naming each field that is unknown or malformed, or shares that add up to more than 1
 */
export function changeBehaviour(behaviour: Behaviour, change: unknown): Behaviour {
  const changed = withChange(behaviourSchema, behaviour, change);
  refuseExcess('of the keys', [changed.notFound, changed.malformed, changed.unsupported]);
  refuseExcess('of the calls', [
    changed.tooMany,
    changed.unavailable,
    changed.serverError,
    changed.hang,
    changed.truncate,
    changed.invalidJson,
    changed.redirect,
  ]);
  return changed;
}
