import { z } from 'zod';
import type { JobDefinition } from '../contract/job.ts';

/** Of a JSON schema, what tells which values it takes. */
interface Property {
  readonly type?: unknown;
  readonly format?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
}

/** Values for the parameters that have to be given, of the kind that the contract names. They need not mean anything. */
export function sampleParameters(job: JobDefinition): Record<string, unknown> {
  const schema = z.toJSONSchema(job.parameters, { io: 'input', unrepresentable: 'any' });
  return Object.fromEntries(
    (schema.required ?? []).map((name) => [name, sampleOf((schema.properties?.[name] ?? {}) as Property)]),
  );
}

function sampleOf({ type, format, minimum, enum: values, const: only }: Property): unknown {
  if (only !== undefined) return only;
  if (values !== undefined) return values[0];
  if (type === 'integer' || type === 'number') return Math.max(1, minimum ?? 1);
  if (type === 'boolean') return false;
  if (type === 'array') return [];
  const now = new Date().toISOString();
  if (format === 'date') return now.slice(0, 10);
  return format === 'date-time' ? now : 'sample';
}
