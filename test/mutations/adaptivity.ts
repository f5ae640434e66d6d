import type { Mutation } from './mutation.ts';

const chunkSize = 'packages/keystride/src/page/chunk-size.ts';
const adaptiveLimit = 'packages/keystride/src/stores/http/adaptive-limit.ts';
const reference = 'packages/keystride/src/stores/http/latency-reference.ts';
const callLimiter = 'packages/keystride/src/stores/http/call-limiter.ts';
const callBudget = 'packages/keystride/src/ledger/call-budget.ts';

const sizes = 'test/engine/chunk-size.test.ts';
const chunks = 'test/workflows/adaptive-chunks.test.ts';
const simulated = 'test/stores/adaptive-limit.test.ts';
const limiting = 'test/stores/call-limiter.test.ts';
const sharing = 'test/stores/call-budget.test.ts';

/** What a run finds out by itself: the commit interval, and how many calls an API takes. */
export const adaptivity: readonly Mutation[] = [
  {
    rule: 'a chunk that takes longer than its target makes the next one smaller, at once',
    edits: [[chunkSize, 'if (share > band.most) this.#become(1 / share, milliseconds);\n    else if', 'if']],
    test: sizes,
    named: 'longer than the target at once',
  },
  {
    rule: 'a chunk takes the time of its target, whatever that is',
    edits: [[chunkSize, 'milliseconds / 1000 / this.#bounds.targetSeconds', 'milliseconds / 1000']],
    test: sizes,
    named: 'comes to rest where',
  },
  {
    rule: 'a chunk of another size says nothing about the present one',
    edits: [[chunkSize, ' || Math.abs(items / this.#present - 1) > sameSize', '']],
    test: sizes,
    named: 'chunks of another size',
  },
  {
    rule: 'a page goes on with the commit interval that the one before it has found',
    edits: [
      [
        'packages/keystride/src/workflow/run-pages.ts',
        'next = withChunkSize(next, state)',
        'withChunkSize(next, state)',
      ],
    ],
    test: chunks,
    named: 'chunks of items that take too long',
  },
  {
    rule: 'a commit interval that an operator has tuned stays',
    edits: [
      [
        'packages/keystride/src/workflow/page-requests.ts',
        'run.tuning.chunkSize === undefined ? chunkBoundsOf(policy) : undefined',
        'chunkBoundsOf(policy)',
      ],
    ],
    test: chunks,
    named: 'what an operator tunes',
  },
  {
    rule: 'calls that an API refuses lower their limit',
    edits: [[adaptiveLimit, 'this.#refuse(outcome.code, now);', 'this.#window.refused += 1;']],
    test: simulated,
    named: 'finds a capacity of 80',
  },
  {
    rule: 'a limit rises again while nothing is refused',
    edits: [[adaptiveLimit, '!this.#cut.holding) this.#grow', 'this.#cut.rounds < 0) this.#grow']],
    test: simulated,
    named: 'when the capacity doubles',
  },
  {
    rule: 'answers that have stood in a queue lower the limit',
    edits: [
      [reference, 'this.#suspicions + 1 : 0', '0 : 0'],
      [reference, 'const firstTrial = 16;', 'const firstTrial = 1e9;'],
    ],
    test: simulated,
    named: 'no long queue of 250 calls',
  },
  {
    rule: 'an API that has become slow by itself gets its calls back',
    edits: [[adaptiveLimit, "if (next === 'back') this.#goBack(episode.trial);", '']],
    test: simulated,
    named: 'become slow by itself',
  },
  {
    rule: 'a trial that finds a queue stays below it',
    edits: [[reference, 'return found ?', 'return false ?']],
    test: simulated,
    named: 'no long queue of 250 calls',
  },
  {
    rule: 'answers that merely vary are no queue',
    edits: [[reference, 'median < 0.8 * this.median && this.median - median > noiseMs', 'true']],
    test: simulated,
    named: 'very different times',
  },
  {
    rule: 'refusals that go on after a decrease are usual',
    edits: [
      [
        'packages/keystride/src/stores/http/usual-refusals.ts',
        'this.#refused = memory * this.#refused + refused',
        'this.#refused = 0',
      ],
    ],
    test: simulated,
    named: 'a share of 0.02',
  },
  {
    rule: 'HTTP 429 says that there were too many calls',
    edits: [[callLimiter, '[408, 429, 503, 504]', '[408, 503, 504]']],
    test: limiting,
    named: 'two jobs that call the same API',
  },
  {
    rule: 'a call that has given up waiting takes nobody’s turn',
    edits: [[callLimiter, 'if (!next.givenUp) next.begin', 'next.begin']],
    test: limiting,
    named: 'gives up when it is not to begin',
  },
  {
    rule: 'a call that is made again goes first',
    edits: [[callLimiter, 'attempt > 1 ? this.#again : this.#first', 'this.#first']],
    test: limiting,
    named: 'a call that is made again',
  },
  {
    rule: 'a part of the calls is only what nobody else holds',
    edits: [[callBudget, 'Math.max(0, Math.min(fair, left))', 'fair']],
    test: sharing,
    named: 'workers share a budget',
  },
  {
    rule: 'a part that has become smaller counts as what is still out of it',
    edits: [[callBudget, 'Math.max(part.calls, this.#calls.inFlight)', 'part.calls']],
    test: sharing,
    named: 'workers share a budget',
  },
  {
    rule: 'a worker that ends gives its part back',
    edits: [[callBudget, 'if (this.#held) await this.#leave();', '']],
    test: sharing,
    named: 'workers share a budget',
  },
  {
    rule: 'the part of a worker that has died returns',
    edits: [[callBudget, 'AND expires_at < clock_timestamp() AND', 'AND expires_at IS NULL AND']],
    test: sharing,
    named: 'a worker that has died',
  },
  {
    rule: 'the part of a worker that has died returns when its lease is over, not before',
    edits: [[callBudget, 'AND expires_at < clock_timestamp() AND', 'AND']],
    test: sharing,
    named: 'a worker that has died',
  },
  {
    rule: 'a worker whose lease is over calls nothing more',
    edits: [[callBudget, 'setTimeout(expire, leftMs)', 'setTimeout(expire, 10 * leftMs)']],
    test: sharing,
    named: 'whose ledger does not answer',
  },
];
