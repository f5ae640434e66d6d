import { chunks, listReader, type StepsOf } from 'keystride';
import type { evenNumbers } from '../contract/even-numbers.ts';

export const evenNumbersSteps = (): StepsOf<typeof evenNumbers> => ({
  print: ({ parameters: { from, to }, log }) =>
    chunks({
      reader: listReader(to - from + 1, (index) => from + index),
      processor: (number) => (number % 2 === 0 ? number : null),
      writer: {
        // What must be there exactly once is written through the transaction that `write` is given; a log is not.
        write: async (numbers) => {
          for (const number of numbers) log.info(`${number} is even`);
        },
      },
    }),
});
