/** Asks when it is first asked, and answers the same from then on; after a failure it asks again. */
export function answeredOnce<Question extends unknown[], Answer>(
  ask: (...question: Question) => Promise<Answer>,
): (...question: Question) => Promise<Answer> {
  let answer: Promise<Answer> | undefined;
  return (...question) => {
    answer ??= ask(...question).catch((error: unknown) => {
      // The next call asks again: the database may only have been away.
      answer = undefined;
      throw error;
    });
    return answer;
  };
}
