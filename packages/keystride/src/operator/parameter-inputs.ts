import { z } from 'zod';
import type { JobDefinition } from '../contract/job.ts';
import { identifyingParameters, parameterFromText, parameterToText } from '../contract/parameters.ts';
import { sensitiveParameters } from '../contract/sensitive.ts';

/** How a value is asked for. */
export type InputKind = 'text' | 'choice' | 'boolean' | 'integer' | 'number' | 'date' | 'dateTime' | 'list';

/** A parameter of a contract, as a form asks for it. */
export interface ParameterInput {
  readonly name: string;
  readonly description: string;
  readonly kind: InputKind;
  /** Whether it says which instance a run is of. */
  readonly identifying: boolean;
  /** Whether nobody may read it: it has no default to show, either. */
  readonly sensitive: boolean;
  readonly required: boolean;
  /** As text; null for none. */
  readonly byDefault: string | null;
  /** Of a choice. */
  readonly choices: readonly string[];
  /** Of a number, both included; null where there is no bound. */
  readonly least: number | null;
  readonly most: number | null;
}

interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly JsonSchema[];
}

/** The parameters of a job as a form asks for them, in the order of the contract. */
export function parameterInputs(job: JobDefinition): readonly ParameterInput[] {
  const schema = z.toJSONSchema(job.parameters, { io: 'input', unrepresentable: 'any' });
  const identifying = new Set(identifyingParameters(job));
  const hidden = sensitiveParameters(job);
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const told = (typeof property === 'object' ? property : {}) as JsonSchema;
    // What may be null is one of two.
    const of = told.anyOf?.find(({ type }) => type !== 'null') ?? told;
    return {
      name,
      description: descriptionOf(job.parameters.shape[name]),
      kind: kindOf(of),
      identifying: identifying.has(name),
      sensitive: hidden.has(name),
      required: schema.required?.includes(name) ?? false,
      byDefault: told.default === undefined || hidden.has(name) ? null : parameterToText(told.default),
      choices: (of.enum ?? []).map(String),
      least: boundOf(of.minimum),
      most: boundOf(of.maximum),
    };
  });
}

function kindOf({ type, enum: choices, format }: JsonSchema): InputKind {
  if (choices !== undefined) return 'choice';
  if (type === 'boolean' || type === 'integer' || type === 'number') return type;
  if (type === 'array') return 'list';
  if (format === 'date') return 'date';
  return format === 'date-time' ? 'dateTime' : 'text';
}

/** Every whole number has the bounds of those that are exact: nobody needs to be told. */
function boundOf(bound: number | undefined): number | null {
  return bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? null : bound;
}

/** What a parameter is, in words. The JSON schema loses it where other metadata was added after it. */
export function descriptionOf(schema: unknown): string {
  return (schema instanceof z.ZodType ? schema.description : undefined) ?? '';
}

/** The parameters that a form was sent with; what is empty is left to the contract. */
export function parametersOf(
  job: JobDefinition,
  textOf: (name: string) => string | undefined,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(job.parameters.shape).flatMap((name) => {
      const text = textOf(name);
      return text === undefined ? [] : [[name, parameterFromText(job, name, text)]];
    }),
  );
}
