import { type Books, readBooks as readBooksOf } from '../ledger/books.ts';
import { visitLedger } from '../ledger/ledger.ts';

/** Reads the books of an instance in the ledger of a database. Those of a run must be those of the run without faults. */
export function readBooks(connectionString: string, instance: string): Promise<Books> {
  return visitLedger({ connectionString, name: 'keystride prove' }, (ledger) =>
    readBooksOf(ledger, instance),
  );
}

/** What is wrong with the books of a run, those of the run without faults taken as right. */
export function bookProblems(expected: Books, found: Books): string[] {
  const steps = new Set([...expected.steps.keys(), ...found.steps.keys()]);
  const differing = [...steps].filter((step) => expected.steps.get(step) !== found.steps.get(step));
  return [
    ...found.problems,
    ...differing.map(
      (step) =>
        `step ${step}: ${found.steps.get(step) ?? 'is missing'}; without faults ${expected.steps.get(step) ?? 'missing'}`,
    ),
  ];
}
