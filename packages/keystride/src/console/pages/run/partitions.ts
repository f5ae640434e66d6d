import type { PartitionFigures } from '../../../ledger/partition-figures.ts';
import { CommandError } from '../../../operator/command-error.ts';
import { readExecution } from '../../../operator/execution.ts';
import { listPartitions } from '../../../operator/partitions.ts';
import { html, nothing } from '../../html.ts';
import { runHref } from '../../hrefs.ts';
import { badge, dataTable, emptiness, figure, moment } from '../../parts.ts';
import { view } from '../../view.ts';
import type { PartitionState } from './data.ts';
import { endText, partitionLooks } from './strip.ts';

/** Partitions of a page. */
const perPage = 100;

interface PartitionsData {
  readonly workflowId: string;
  readonly step: string;
  readonly partitions: readonly PartitionFigures[];
  /** The number behind which the list goes on; null at its end. */
  readonly next: number | null;
}

/** All partitions of a step, with their ranges, by number. */
export const partitionsPage = view<PartitionsData>({
  path: '/runs/:id/partitions/:step',
  section: 'runs',
  title: ({ step, workflowId }) => `Partitions of ${step}: ${workflowId}`,
  read: async ({ session, param, query }) => {
    const [workflowId, step] = [param('id'), param('step')];
    const { progress } = await readExecution(session.client, workflowId);
    if (progress.instance === null) throw notOpened(workflowId);
    const after = Number(query('after') ?? -1);
    const found = await listPartitions({
      instance: progress.instance,
      step,
      after: Number.isSafeInteger(after) ? after : -1,
      limit: perPage + 1,
    });
    const partitions = found.slice(0, perPage);
    const next = found.length > perPage ? (partitions.at(-1)?.partition ?? null) : null;
    return { workflowId, step, partitions, next };
  },
  parts: ({ workflowId, step, partitions, next }) => ({
    back: html`<p><a href="${runHref(workflowId)}">Back to the run</a></p>`,
    partitions:
      partitions.length === 0
        ? emptiness('No more partitions.', html`<a href="${runHref(workflowId)}">The run</a>`)
        : dataTable(
            `Partitions of ${step}, by number`,
            [
              { head: 'Partition', names: true, cell: ({ partition }) => `p${partition}` },
              { head: 'State', cell: stateCell },
              { head: 'Above', cell: ({ lower }) => rangeEnd(lower) },
              { head: 'Up to', cell: ({ upper }) => rangeEnd(upper) },
              { head: 'Committed up to', cell: ({ cursor }) => rangeEnd(cursor) },
              { head: 'Read', number: true, cell: ({ read, readSkipped }) => figure(read + readSkipped) },
              { head: 'Written', number: true, cell: ({ written }) => figure(written) },
              { head: 'Skipped', number: true, cell: ({ skipped }) => figure(skipped) },
              { head: 'Commits', number: true, cell: ({ commits }) => figure(commits) },
              {
                head: 'Last commit',
                cell: ({ updatedAt, commits }) => (commits > 0 ? moment(updatedAt) : '–'),
              },
            ],
            partitions,
          ),
    pager:
      next === null
        ? nothing
        : html`<p class="pager">
            <a href="${runHref(workflowId, `partitions/${encodeURIComponent(step)}`)}?after=${next}"
              >Next ${perPage}</a
            >
          </p>`,
  }),
});

function notOpened(workflowId: string): CommandError {
  return new CommandError(
    {
      what: `${workflowId} has told no instance yet`,
      todo: 'Look again in a moment; without a worker it never will.',
    },
    { type: 'NotFound' },
  );
}

/** The ledger alone does not know whether a page runs: begun is what has committed. */
function stateCell({ done, commits }: PartitionFigures) {
  const state: PartitionState = done ? 'done' : commits > 0 ? 'runs' : 'queued';
  const [tone, shape, word] = partitionLooks[state];
  return badge(tone, shape, state === 'runs' ? 'begun' : word);
}

function rangeEnd(cursor: string | null) {
  return cursor === null
    ? html`<span class="soft">open</span>`
    : html`<span class="mono small">${endText(cursor, 200)}</span>`;
}
