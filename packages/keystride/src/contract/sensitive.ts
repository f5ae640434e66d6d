import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { failure } from './errors.ts';
import type { JobDefinition } from './job.ts';

/** What values are hashed with; undefined where this process has none. */
export type HashKey = Uint8Array | undefined;

type Parameters = Readonly<Record<string, unknown>>;

/**
 * Marks a parameter whose value nobody may read: `memberId: sensitive(z.string())`. It goes to Temporal in encrypted
 * payloads alone. Everywhere else (the instance's key and so the workflow id, the ledger, `status`, the console, alerts)
 * a hash of it stands in its place, made with a key, so that equal values are still one instance. A parameter that holds
 * a sensitive part is sensitive as a whole.
 */
export function sensitive<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ sensitive: true });
}

const known = new WeakMap<JobDefinition, ReadonlySet<string>>();

/** The names of a job's sensitive parameters. */
export function sensitiveParameters(job: JobDefinition): ReadonlySet<string> {
  let names = known.get(job);
  if (!names) {
    const marked = Object.entries(job.parameters.shape).filter(
      ([, schema]) => schema instanceof z.ZodType && isMarked(schema),
    );
    names = new Set(marked.map(([name]) => name));
    known.set(job, names);
  }
  return names;
}

/** A mark may stand inside, on either side of a transform: its JSON schema has it in each place. */
function isMarked(schema: z.ZodType): boolean {
  return (['input', 'output'] as const).some((io) =>
    JSON.stringify(z.toJSONSchema(schema, { io, unrepresentable: 'any' })).includes('"sensitive":true'),
  );
}

/**
 * Validated parameters as they may be shown and kept: `hash:…` for those that are sensitive.
 *
 * @throws JobParametersInvalid when there are such and no key.
 */
export function shownParameters(job: JobDefinition, parameters: Parameters, key: HashKey): Parameters {
  const names = sensitiveParameters(job);
  if (names.size === 0) return parameters;
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      names.has(name) && value !== undefined ? hashOf(job, name, value, key ?? noKey(job, names)) : value,
    ]),
  );
}

/** Of the job and the parameter too: the same value shows in no other place. */
function hashOf(job: JobDefinition, name: string, value: unknown, key: Uint8Array): string {
  const text = JSON.stringify([job.name, name, value]);
  return `hash:${createHmac('sha256', key).update(text).digest('hex').slice(0, 32)}`;
}

function noKey({ name }: JobDefinition, names: ReadonlySet<string>): never {
  throw failure(
    'JobParametersInvalid',
    `${name} has sensitive parameters (${[...names].join(', ')}), and this process has no key to hash them with: ` +
      'give KEYSTRIDE_ENCRYPTION_KEYS, or its file, an entry hash=KEY beside the keys that encrypt. Nothing was written.',
  );
}

/** Whether a value stands for a sensitive one. */
export function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^hash:[0-9a-f]{32}$/u.test(value);
}

/** Parameters of which some stand for sensitive values. */
export function holdsHash(job: JobDefinition, parameters: unknown): parameters is Parameters {
  if (typeof parameters !== 'object' || parameters === null) return false;
  return Object.entries(parameters).some(
    ([name, value]) => sensitiveParameters(job).has(name) && isHash(value),
  );
}
