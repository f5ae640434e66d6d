import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { JobDefinition, ParametersOf } from './job.ts';
import { failure } from './errors.ts';
import { type HashKey, isHash, sensitiveParameters, shownParameters } from './sensitive.ts';

/** Beyond so many bytes a key is hashed: Temporal allows 1,000 bytes for a workflow id, and child ids append to it. */
const longestKey = 400;

/**
 * Validates what a caller gave and fills in defaults.
 *
 * @throws JobParametersInvalid naming every parameter that is missing, unknown or wrong.
 */
export function parseParameters<Job extends JobDefinition>(job: Job, input: unknown): ParametersOf<Job> {
  const { parsed, faults } = checked(job, input);
  if (faults.length === 0) return parsed as ParametersOf<Job>;
  const known = Object.keys(job.parameters.shape).join(', ') || 'none';
  throw failure(
    'JobParametersInvalid',
    `${job.name} cannot start with these parameters: ${faults.map(({ told }) => told).join('; ')}. It takes: ${known}. Nothing was written.`,
  );
}

/** What is wrong with one of the parameters that somebody gave. */
export interface ParameterFault {
  /** Null where it is about all of them. */
  readonly parameter: string | null;
  /** Beside its name, in words. */
  readonly fault: string;
  /** The same with the place. */
  readonly told: string;
}

/** What is wrong with parameters, in the order of the contract; empty when a job can start with them. */
export function parameterFaults(job: JobDefinition, input: unknown): readonly ParameterFault[] {
  return checked(job, input).faults;
}

function checked(
  job: JobDefinition,
  input: unknown,
): { readonly parsed: unknown; readonly faults: readonly ParameterFault[] } {
  const parsed = job.parameters.strict().safeParse(input ?? {});
  const faults = parsed.success
    ? Object.entries(parsed.data).flatMap(([name, value]) => faultsOfValue(job, name, value))
    : parsed.error.issues.map((issue): ParameterFault => {
        const [name] = issue.path;
        if (name === undefined) return { parameter: null, fault: issue.message, told: issue.message };
        const fault = faultOf(issue, input);
        if (sensitiveParameters(job).has(String(name)))
          return unsaid(String(name), fault === missing ? missing : undefined);
        return { parameter: String(name), fault, told: `${placeOf(issue, input)}: ${fault}` };
      });
  return { parsed: parsed.data, faults };
}

function faultsOfValue(job: JobDefinition, name: string, value: unknown): ParameterFault[] {
  const faults = unkeepable(value, name);
  if (!sensitiveParameters(job).has(name))
    return faults.map((told) => ({ parameter: name, fault: told.slice(told.indexOf(': ') + 2), told }));
  if (isHash(value)) return [unsaid(name, 'stands for a value: give the value itself')];
  return faults.slice(0, 1).map(() => unsaid(name));
}

/** What is wrong with a sensitive parameter may quote it: of all that can be wrong, little is told. */
function unsaid(name: string, fault = 'is not what the contract wants'): ParameterFault {
  return { parameter: name, fault, told: `${name}: ${fault}` };
}

/** Which parameter is at fault; of a list, what was written there. */
function placeOf({ path }: z.core.$ZodIssue, input: unknown): string {
  const [name, index] = path;
  const given = (input as Readonly<Record<PropertyKey, unknown>>)[name ?? ''];
  const element: unknown = Array.isArray(given) && typeof index === 'number' ? given[index] : undefined;
  if (typeof element !== 'string') return path.join('.');
  return `${String(name)} ${JSON.stringify(element.length > 80 ? `${element.slice(0, 80)}…` : element)}`;
}

/** What databases would refuse, or keep as something else, inside of a parameter. */
function unkeepable(value: unknown, path: string): string[] {
  if (typeof value === 'string') return textFaults(value).map((fault) => `${path}: ${fault}`);
  if (typeof value === 'number' && !Number.isSafeInteger(Math.trunc(value)))
    return [`${path}: is beyond 2^53, where numbers are rounded: it may have been another one`];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    ...textFaults(name).map((fault) => `${path}: one of its names ${fault}`),
    ...unkeepable(inner, `${path}.${name}`),
  ]);
}

function textFaults(text: string): string[] {
  return [
    ...(text.includes('\0') ? ['holds a zero character (\\u0000), which PostgreSQL cannot store'] : []),
    ...(text.isWellFormed() ? [] : ['holds half of a surrogate pair, which is no character']),
  ];
}

const missing = 'is missing';

/** A parameter that nobody gave is missing; the schema's words for it are about the type of nothing. */
function faultOf({ code, path, message }: z.core.$ZodIssue, input: unknown): string {
  const [name] = path;
  const given = typeof input === 'object' && input !== null ? Object.keys(input) : [];
  const isMissing = path.length === 1 && !given.includes(String(name));
  return isMissing && (code === 'invalid_type' || code === 'invalid_value') ? missing : message;
}

/**
 * The parameters of `--param name=value` words. Numbers and booleans are read as such where the job's schema
 * wants them; a value that cannot be is left as text, for `parseParameters` to refuse by name.
 */
export function parametersFromText(job: JobDefinition, words: readonly string[]): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 1) {
      throw failure('JobParametersInvalid', `"${word}" is not a parameter; write --param name=value.`);
    }
    const name = word.slice(0, equals);
    input[name] = parameterFromText(job, name, word.slice(equals + 1));
  }
  return input;
}

/** As people write numbers: not as programs write 0x10. */
const decimal = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/iu;

/** A parameter's value as its schema wants it, where the text can be read so. */
export function parameterFromText(job: JobDefinition, name: string, text: string): unknown {
  const schema: unknown = job.parameters.shape[name];
  const type = schema instanceof z.ZodType ? innerType(schema) : 'string';
  if (type === 'number' && decimal.test(text) && Number.isFinite(Number(text))) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  if (type === 'array') return elementsOf(text);
  return text;
}

/**
 * The elements of a list: `a,b`, or a JSON array. A comma in parentheses or in double quotes divides nothing; an element
 * that stands in quotes as a whole, with each quote in it twice, is what they enclose.
 */
function elementsOf(text: string): unknown[] {
  if (text === '') return [];
  const parsed = text.startsWith('[') ? jsonArray(text) : undefined;
  if (parsed) return parsed;
  const elements = text.matchAll(/(?:^|,)((?:"(?:[^"]|"")*"|\([^()]*\)|[^,])*)/gu);
  return [...elements].map(([, element = '']) => unquoted(element));
}

function jsonArray(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What a text means that may stand in double quotes: what they enclose, with each quote in it once. */
export function unquoted(text: string): string {
  return /^"(?:[^"]|"")+"$/u.test(text) ? text.slice(1, -1).replaceAll('""', '"') : text;
}

/** A value as `--param name=…` takes it: read again it is the same. */
export function parameterToText(value: unknown): string {
  if (typeof value === 'string') return value;
  const plainTexts = (one: unknown): one is string =>
    typeof one === 'string' && one !== '' && !/[,[\]()"]/u.test(one);
  return Array.isArray(value) && value.every(plainTexts) ? value.join(',') : JSON.stringify(value);
}

function innerType(schema: z.ZodType): string {
  return layersOf(schema).at(-1)?.type ?? 'string';
}

/** A schema and what it wraps, from `.default()`, `.optional()` or `.nullable()` inwards. */
function layersOf(schema: z.ZodType): z.ZodType[] {
  const layers = [schema];
  for (
    let at = schema;
    at instanceof z.ZodDefault || at instanceof z.ZodOptional || at instanceof z.ZodNullable;
  ) {
    at = at.unwrap() as z.ZodType;
    layers.push(at);
  }
  return layers;
}

/** The names of the parameters that say which instance a run belongs to, in the order of the contract. */
export function identifyingParameters(job: JobDefinition): string[] {
  return Object.entries(job.parameters.shape)
    .filter(([, schema]) => schema instanceof z.ZodType && isIdentifying(schema))
    .map(([name]) => name);
}

function isIdentifying(schema: z.ZodType): boolean {
  return layersOf(schema).every((layer) => layer.meta()?.['identifying'] !== false);
}

/**
 * The key of the instance that these validated parameters name, a job with its identifying parameters as text:
 * `purchaseConfirmation:deliveredBefore=2025-10-01`. Equal parameters give equal keys; sensitive ones stand in it hashed.
 *
 * @throws JobParametersInvalid when the job has sensitive parameters and there is no key to hash them with.
 */
export function instanceKey(
  job: JobDefinition,
  parameters: Readonly<Record<string, unknown>>,
  key: HashKey,
): string {
  return keyOfShown(job, shownParameters(job, parameters, key));
}

/** The same of parameters as they are shown. */
export function keyOfShown(job: JobDefinition, parameters: Readonly<Record<string, unknown>>): string {
  const parts = identifyingParameters(job)
    .filter((name) => parameters[name] !== undefined)
    .map((name) => `${name}=${keyText(parameters[name])}`);
  const key = parts.length > 0 ? `${job.name}:${parts.join(',')}` : job.name;
  return Buffer.byteLength(key) <= longestKey ? key : `${job.name}:${sha256(key)}`;
}

function keyText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replaceAll(/[%,=/\s]/gu, encodeURIComponent);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
