import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { upsertSearchAttributes } from '@temporalio/workflow';
import type { JobProgress } from '../contract/progress.ts';
import { searchAttributes } from '../contract/search-attributes.ts';

const job = defineSearchAttributeKey(searchAttributes.job, SearchAttributeType.KEYWORD);
const status = defineSearchAttributeKey(searchAttributes.status, SearchAttributeType.KEYWORD);
const skipped = defineSearchAttributeKey(searchAttributes.skipped, SearchAttributeType.INT);

/** Publishes what lists are filtered by. */
export function publishStatus(progress: JobProgress): void {
  upsertSearchAttributes([
    { key: job, value: progress.job },
    { key: status, value: progress.status },
    { key: skipped, value: progress.steps.reduce((sum, step) => sum + step.skipped, 0) },
  ]);
}
