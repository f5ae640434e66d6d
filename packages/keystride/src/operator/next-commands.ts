import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { parameterToText } from '../contract/parameters.ts';
import { comparesSides } from '../contract/policy.ts';
import { isHash } from '../contract/sensitive.ts';
import { shellWord } from '../contract/shell.ts';
import { isFinal, type JobStatus } from '../contract/states.ts';
import { keystride } from './called-as.ts';
import { findJob } from './catalogue.ts';
import type { LiveProgress } from './heartbeats.ts';

const nextOf: Partial<Record<JobStatus, readonly string[]>> = {
  running: ['status ID --watch', 'pause ID'],
  throttled: ['status ID --watch', 'pause ID', 'stop ID'],
  paused: ['resume ID', 'stop ID'],
  holding: ['resume ID', 'stop ID'],
  completed: ['verify ID'],
  completedWithSkips: ['skips ID list', 'verify ID'],
};

/** What is to be done with a run in its state, as commands; the likeliest first. */
export async function nextCommands(progress: LiveProgress): Promise<string[]> {
  const { status: state, job, parameters, workflowId, steps } = progress;
  const id = shellWord(workflowId);
  if (job === 'redrive' && isFinal(state)) return nextAfterRedrive(state, parameters);
  const usual = nextOf[state] ?? [];
  // What a run says of itself keeps its project from being loaded, which takes longer than all the rest.
  const verifiable = usual.includes('verify ID') && (progress.verifiable ?? (await canBeVerified(job)));
  const next = usual
    .filter((command) => command !== 'verify ID' || verifiable)
    .map((command) => `${keystride} ${command.replace('ID', () => id)}`);
  if (state !== 'failed' && state !== 'stopped') return next;
  const given = Object.entries(await givenParameters(job, parameters ?? {})).map(([name, value]) =>
    isHash(value)
      ? ` --param-file ${name}=FILE`
      : ` --param ${shellWord(`${name}=${parameterToText(value)}`)}`,
  );
  const skipped = steps.some((step) => step.skipped > 0) ? [`${keystride} skips ${id} list`] : [];
  return [
    ...next,
    ...skipped,
    ...(parameters === null ? [] : [`${keystride} start ${job}${given.join('')}`]),
  ];
}

/** What has to be said to start with these parameters: those that are not what the contract assumes anyway. */
async function givenParameters(
  name: string,
  parameters: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const job = await findJob(name);
  if (!job) return parameters;
  const assumed = Object.entries(parameters).filter(([parameter, value]) => {
    const schema: unknown = job.parameters.shape[parameter];
    const empty = schema instanceof z.ZodType ? schema.safeParse(undefined) : undefined;
    return empty?.success === true && isDeepStrictEqual(empty.data, value);
  });
  const left = new Set(assumed.map(([parameter]) => parameter));
  return Object.fromEntries(Object.entries(parameters).filter(([parameter]) => !left.has(parameter)));
}

/** A job of another build than this command's is not known here; its worker will tell. */
export async function canBeVerified(name: string): Promise<boolean> {
  const job = await findJob(name);
  return !job || comparesSides(job.steps);
}

/** Whatever became of a redrive, what it left open belongs to the instance that skipped it. */
async function nextAfterRedrive(state: JobStatus, parameters: LiveProgress['parameters']): Promise<string[]> {
  const instance = parameters?.['instance'];
  if (typeof instance !== 'string') return [];
  const id = shellWord(instance);
  if (state === 'completed')
    return (await canBeVerified(instance.split(':', 1)[0] ?? '')) ? [`${keystride} verify ${id}`] : [];
  return [`${keystride} skips ${id} list`, `${keystride} skips ${id} redrive`];
}
