import { Context } from '@temporalio/activity';
import type { Claim, RedrivenInstance } from '../contract/claim.ts';
import { identifyingParameters, parameterToText } from '../contract/parameters.ts';
import { sensitiveParameters } from '../contract/sensitive.ts';
import { keystride, shellWord } from '../contract/shell.ts';
import type { AnyChunkWork, AnySetWork, StepContext } from '../job/chunks.ts';
import type { JobRegistry } from '../job/registry.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { redrivenWork, workOfRedrive } from './redriven-work.ts';

type Work = AnyChunkWork | AnySetWork;

/** What the activities of an execution are asked with. */
interface Asked {
  readonly claim: Claim;
  readonly parameters: StepContext['parameters'];
}

/**
 * How an execution does the steps of a job: over their sources, or over the skips that it has taken. The claim that
 * opened it decides. Its skips' books (`skipBooksOf`) are the ledger's part of the same.
 */
interface Execution {
  /** What the steps are told of the instance that they work for. */
  readonly told: Pick<StepContext, 'instance' | 'parameters'>;
  /** The work of a chunk step as this execution does it. */
  chunkWork(work: Work, ledger: Ledger, step: string): Work;
  /** The command that does again what this execution has left. */
  startAgain(registry: JobRegistry): string;
}

/** The execution that a claim has opened. */
export function executionOf({ claim, parameters }: Asked): Execution {
  return claim.redrives ? redriveOf(claim, claim.redrives) : startOf(claim, parameters);
}

/** What the work of a step is given. */
export function stepContext(asked: Asked): StepContext {
  return { ...executionOf(asked).told, epoch: asked.claim.epoch, log: Context.current().log };
}

function startOf({ job, instance }: Claim, parameters: Asked['parameters']): Execution {
  return {
    told: { instance, parameters },
    chunkWork: (work) => work,
    startAgain: (registry) => {
      // Only what identifies the instance: any of the others may be a secret, and may be given anew.
      const words = identifyingParameters(registry.definition(job)).flatMap((name) => {
        const value = parameters[name];
        if (value === undefined) return [];
        if (sensitiveParameters(registry.definition(job)).has(name)) return [`--param-file ${name}=FILE`];
        return [`--param ${shellWord(`${name}=${parameterToText(value)}`)}`];
      });
      return [`${keystride} start`, job, ...words].join(' ');
    },
  };
}

function redriveOf(claim: Claim, { instance, parameters }: RedrivenInstance): Execution {
  return {
    // What a step derives from it (an idempotency key, say) is the same when a skipped item is run again.
    told: { instance, parameters },
    chunkWork: (work, ledger, step) => {
      const again = workOfRedrive(work);
      return again ? redrivenWork(again, ledger, claim, step) : work;
    },
    startAgain: () => `${keystride} skips ${shellWord(instance)} redrive`,
  };
}
