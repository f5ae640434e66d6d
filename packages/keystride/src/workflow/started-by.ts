import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';
import {
  type Authorship,
  authorshipMemo,
  longestOperator,
  type StartedBy,
  wrongChangedBy,
} from '../contract/audit.ts';
import { cutText } from '../contract/errors.ts';

/** The schedule whose action a workflow is; Temporal sets it with the start. */
const scheduledBy = defineSearchAttributeKey('TemporalScheduledById', SearchAttributeType.KEYWORD);

/** The schedule that has started this workflow; undefined for none. */
export function ownSchedule(): string | undefined {
  return workflowInfo().typedSearchAttributes.get(scheduledBy);
}

/** Who has started this workflow: as he has said, the schedule, or nobody that the workflow knows of. */
export function startedBy(): StartedBy {
  const { memo, parent } = workflowInfo();
  const said = memo?.[authorshipMemo] as Authorship | undefined;
  // Whoever starts it by hand may write anything there.
  if (said?.by && wrongChangedBy(said.by) === undefined)
    return { by: said.by, ...(typeof said.reason === 'string' && { reason: said.reason }) };
  const schedule = ownSchedule();
  if (schedule !== undefined)
    return { by: { operator: cutText(schedule, longestOperator), from: 'schedule' } };
  return parent ? { parent: parent.workflowId } : {};
}
