import { type Books, readBooks as readBooksOf } from '../ledger/books.ts';
import { visit } from './copies.ts';

/** Reads the books of an instance in the ledger of a database. Those of a run must be those of the run without faults. */
export function readBooks(databaseUrl: string, instance: string, endless?: string): Promise<Books> {
  return visit(databaseUrl, (ledger) => readBooksOf(ledger, instance, endless));
}

/** What is wrong with the books of a run, those of the run without faults taken as right. */
export function bookProblems(expected: Books, found: Books): string[] {
  const steps = new Set([...Object.keys(expected.steps), ...Object.keys(found.steps)]);
  const differing = [...steps].filter((step) => countersText(expected, step) !== countersText(found, step));
  return [
    ...found.problems,
    ...differing.map(
      (step) =>
        `step ${step}: ${countersText(found, step) ?? 'is missing'}; without faults ${countersText(expected, step) ?? 'missing'}`,
    ),
  ];
}

function countersText({ steps }: Books, step: string): string | undefined {
  const counters = steps[step];
  if (counters === undefined) return undefined;
  const { read, unreadable, written, filtered, skipped } = counters;
  return `read ${read}, unreadable ${unreadable}, written ${written}, filtered ${filtered}, skipped ${skipped}`;
}
