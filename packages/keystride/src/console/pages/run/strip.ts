import { plain, rate } from '../../../operator/format.ts';
import { html, nothing, type Html } from '../../html.ts';
import { runHref } from '../../hrefs.ts';
import { figure, panel, type Tone } from '../../parts.ts';
import type { PartitionState, ShownPartition, Strip } from './data.ts';

/** How a partition's state is shown: colour, shape and word. */
export const partitionLooks: Readonly<Record<PartitionState, readonly [Tone, string, string]>> = {
  runs: ['run', '▶', 'runs'],
  waits: ['warn', '◔', 'waits'],
  atRest: ['rest', '‖', 'at rest'],
  queued: ['rest', '○', 'queued'],
  done: ['good', '✓', 'done'],
};

/** A step's partitions, a cell each: what runs first, the slow ones before all others. */
export function stripPanel(strip: Strip, workflowId: string): Html {
  const { step, counts, partitions, all } = strip;
  const cells = partitions.toSorted((a, b) => rank(a) - rank(b) || a.partition - b.partition);
  const slowest = cells.filter(({ slow }) => slow);
  return panel(
    `Partitions of ${step}`,
    html`${
        slowest.length > 0
          ? html`<p class="notice">
              <strong>Slow:</strong> ${slowest
                .slice(0, 3)
                .map(({ partition, perSecond }) => `p${partition} at ${rate(perSecond ?? 0)}`)
                .join(', ')}${slowest.length > 3 ? ` and ${slowest.length - 3} more` : ''}:
              less than a third of what the others do.
            </p>`
          : nothing
      }
      <ul class="strip">
        ${cells.map(cellOf)}
      </ul>
      <p class="soft small strip-note">
        ${figure(counts.done)} of ${figure(counts.total)}
        done${
          all
            ? nothing
            : html`, ${figure(counts.begun)} begun, ${figure(counts.total - counts.done - counts.begun)}
              queued; those that have begun are shown`
        }.
        <a href="${runHref(workflowId, `partitions/${encodeURIComponent(step)}`)}"
          >All as a table, with ranges</a
        >
      </p>`,
  );
}

function rank({ slow, state }: ShownPartition): number {
  return slow ? -1 : Object.keys(partitionLooks).indexOf(state);
}

function cellOf(one: ShownPartition): Html {
  const [tone, shape, word] = partitionLooks[one.state];
  const rest = one.perSecond === null ? `${figure(one.reached)} rows` : rate(one.perSecond);
  return html`<li class="cell tone-${tone}${one.slow ? ' slow' : ''}">
    <b><span>p${one.partition}</span> <span aria-hidden="true">${shape}</span></b>
    <span>${one.slow ? 'slow' : word}</span>
    <span class="nowrap">${rest}</span>
    <span class="range">${rangeText(one)}</span>
    ${one.skipped > 0 ? html`<span>${figure(one.skipped)} skipped</span>` : nothing}
    ${one.waiting === null ? nothing : html`<span class="why">${plain(one.waiting, 80)}</span>`}
  </li>`;
}

/** The range of a partition, short: above its lower end, up to its upper one. */
function rangeText({ lower, upper }: ShownPartition): string {
  return `${endText(lower)} … ${endText(upper)}`;
}

/** The columns of a key, as the database renders them; an open end is none. */
export function endText(cursor: string | null, longest = 16): string {
  if (cursor === null) return '';
  const columns: unknown = JSON.parse(cursor);
  return plain(Array.isArray(columns) ? columns.join(', ') : cursor, longest);
}
