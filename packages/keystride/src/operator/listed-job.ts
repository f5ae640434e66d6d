import { z } from 'zod';
import type { JobDefinition } from '../contract/job.ts';
import { identifyingParameters } from '../contract/parameters.ts';
import { sensitiveParameters } from '../contract/sensitive.ts';
import { descriptionOf } from './parameter-inputs.ts';

/** A job as the catalogue shows it. */
export interface ListedJob {
  readonly name: string;
  readonly description: string;
  readonly parameters: readonly ListedParameter[];
  readonly steps: readonly { readonly step: string; readonly kind: string }[];
}

interface ListedParameter {
  readonly name: string;
  /** Of a text its format, such as `date`; of a choice the values. */
  readonly type: string;
  readonly required: boolean;
  readonly default?: unknown;
  readonly description: string;
  /** Whether it says which instance a run is of. */
  readonly identifying: boolean;
  /** Whether nobody may read it; undefined for one that everybody may. */
  readonly sensitive?: true;
}

/** A job with its parameters, as a contract's schema tells them. */
export function listedJob(job: JobDefinition): ListedJob {
  const schema = z.toJSONSchema(job.parameters, { io: 'input', unrepresentable: 'any' });
  const identifying = new Set(identifyingParameters(job));
  const hidden = sensitiveParameters(job);
  return {
    name: job.name,
    description: job.description,
    parameters: Object.entries(schema.properties ?? {}).map(([name, property]) => {
      const told = typeof property === 'object' ? property : {};
      const { type, format, enum: values, default: byDefault } = told;
      return {
        name,
        type: (values ?? [format ?? type ?? 'any'].flat()).join(' | '),
        required: schema.required?.includes(name) ?? false,
        ...(byDefault !== undefined && !hidden.has(name) && { default: byDefault }),
        description: descriptionOf(job.parameters.shape[name]),
        identifying: identifying.has(name),
        ...(hidden.has(name) && { sensitive: true as const }),
      };
    }),
    steps: Object.entries(job.steps).map(([step, { kind }]) => ({ step, kind })),
  };
}
