import type { AuditedControl, AuditFacts } from '../contract/audit.ts';
import type { ControlRequest } from '../contract/messages.ts';
import type { JobRun } from './job-run.ts';

/** Does what an operator wants of a run, and has it entered: what was so before, and what is now. */
export function obey(
  run: JobRun,
  control: AuditedControl,
  request: ControlRequest | undefined,
  act: () => void,
): void {
  const before = factsOf(run, control);
  act();
  run.trail.enter(run.job, run.claim, { control, request, before, after: factsOf(run, control) });
}

function factsOf({ status, tuning, heldItems }: JobRun, control: AuditedControl): AuditFacts {
  if (control === 'tune') return { tuning };
  return control === 'skip' ? { status, heldItems: heldItems.length } : { status };
}
