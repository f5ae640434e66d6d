import { z } from 'zod';
import { parameterToText } from '../contract/parameters.ts';
import { catalogue, findJob } from '../operator/catalogue.ts';
import type { Candidate } from './candidate.ts';

/** The jobs of the project. */
export async function jobCandidates(): Promise<readonly Candidate[]> {
  return (await catalogue()).map(({ name, description }) => ({ word: name, told: description }));
}

/** The parameters of a job as `name=`, and behind a name the values of an enum or a boolean. */
export async function parameterCandidates(jobName: string, current: string): Promise<readonly Candidate[]> {
  const job = await findJob(jobName);
  if (job === undefined) return [];
  const { properties = {} } = z.toJSONSchema(job.parameters, { io: 'input', unrepresentable: 'any' });
  const [name = '', value] = current.split('=', 2);
  if (value === undefined)
    return Object.entries(properties).map(([word, property]) => ({
      word: `${word}=`,
      told: typeof property === 'object' ? property.description : undefined,
    }));
  const property = properties[name];
  if (typeof property !== 'object') return [];
  const values = property.type === 'boolean' ? [true, false] : (property.enum ?? []);
  return values.map((each) => ({ word: `${name}=${parameterToText(each)}` }));
}
