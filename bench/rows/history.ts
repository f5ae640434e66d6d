import type { Bench } from '../bench.ts';
import { rounded, type Figures } from '../figures.ts';
import { historyOf, type HistoryCost } from '../../test/support/history.ts';

/** The most events that a run may leave for a million rows where the database is the limit. */
const eventBudget = 500;

/** The figures of the runs that were counted; the ratio is that of their events to the budget, not that of the times. */
export interface HistoryFigures extends Figures, HistoryCost {
  readonly eventBudget: number;
}

/**
 * What runs over a million rows have left with Temporal.
 * @param figures their times
 * @param workflowIds of each run; the one with the most events counts
 */
export async function historyFigures(
  { client }: Bench,
  { limitSeconds, seconds, runs, spread, limits }: Figures,
  workflowIds: readonly string[],
): Promise<HistoryFigures> {
  const costs = await Promise.all(workflowIds.map((workflowId) => historyOf(client, workflowId)));
  const cost = costs.reduce((most, other) => (other.events > most.events ? other : most));
  const times = { limitSeconds, seconds, runs, spread, limits };
  return { ...times, ...cost, eventBudget, ratio: rounded(cost.events / eventBudget) };
}
