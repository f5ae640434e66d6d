import { DefaultLogger } from '@temporalio/worker';
import { ToldError } from '../contract/told-error.ts';
import { instanceKey, parseParameters } from '../contract/parameters.ts';
import { policiesOf } from '../contract/policies.ts';
import { type HashKey, sensitiveParameters } from '../contract/sensitive.ts';
import type { RegisteredJob } from '../job/registry.ts';
import { lastParameters } from '../ledger/inspect.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { keystride } from '../operator/called-as.ts';
import { plain } from '../operator/format.ts';
import { reasonOf } from '../operator/explain.ts';
import { bad, type Finding, ok, warn } from '../operator/finding.ts';
import { sampleParameters } from './sample-parameters.ts';

type Parameters = Readonly<Record<string, unknown>>;

/**
 * What the readers of a job say of their tables and keys. They are made with the parameters of the instance that was
 * opened last, else with some that the contract would take; nothing is read but the catalogue.
 */
export async function readersOf(
  job: RegisteredJob,
  ledger: Ledger,
  key: HashKey,
): Promise<readonly Finding[]> {
  const { definition } = job;
  const parameters = await parametersFor(job, ledger);
  if (parameters === undefined)
    return [
      ok(
        'readers',
        `${definition.name}: not looked at, since no parameters are known for it; \`${keystride} plan ${definition.name}\` looks with yours`,
      ),
    ];
  if (sensitiveParameters(definition).size > 0 && !key) return [noHashKey(definition.name)];
  const instance = instanceKey(definition, parameters, key);
  const context = { parameters, instance, epoch: 1, log: new DefaultLogger('ERROR') };
  const chunkSteps = Object.entries(policiesOf(definition, parameters)).filter(
    ([, { kind }]) => kind === 'chunk',
  );
  const found = await Promise.all(
    chunkSteps.map(async ([step]) =>
      problemsOf(`${definition.name} step ${step}`, () => job.steps[step]?.(context)),
    ),
  );
  return found.flat();
}

function noHashKey(job: string): Finding {
  return bad(
    'readers',
    `${job} has sensitive parameters, and there is no key to hash them with: it cannot start`,
    'Give KEYSTRIDE_ENCRYPTION_KEYS, or its file, an entry hash=KEY, here and for the workers.',
  );
}

async function parametersFor({ definition }: RegisteredJob, ledger: Ledger): Promise<Parameters | undefined> {
  const known = await lastParameters(ledger, definition.name).catch(() => undefined);
  for (const input of [known, sampleParameters(definition)]) {
    try {
      if (input !== undefined) return parseParameters(definition, input);
    } catch {
      // They are of another contract, or the contract wants more than a sample can know.
    }
  }
  return undefined;
}

async function problemsOf(where: string, make: () => unknown): Promise<readonly Finding[]> {
  try {
    const work = make();
    if (typeof work !== 'object' || work === null || !('reader' in work)) return [];
    const { reader } = work as { reader: { problems?(): Promise<readonly string[]> } };
    return ((await reader.problems?.()) ?? []).map((problem) => {
      // What is the matter comes first, and then what helps.
      const [what = problem, ...todo] = problem.split('. ');
      return warn('readers', `${where}: ${plain(what, 500)}`, plain(todo.join('. ') || 'Correct it.', 500));
    });
  } catch (error) {
    const todo =
      error instanceof ToldError ? 'Do what the message says.' : `See what \`${keystride} plan\` says of it.`;
    return [bad('readers', `${where}: ${plain(reasonOf(error), 500)}`, todo)];
  }
}
