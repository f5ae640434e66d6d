import { z } from 'zod';
import { milliseconds, refuseExcess, retryAfterSeconds, share, withChange } from '../behaviour.ts';

/** A refusal of one recipient: the code of a 400. */
const refusal = z.string().regex(/^[A-Z][A-Z_]+$/, 'must be a code like UNKNOWN_PHONE');

/** What may change while the stub runs. */
const behaviourSchema = z.strictObject({
  /** Milliseconds from a call to its answer; a message is delivered just before it. */
  latency: milliseconds,
  /** Share of the recipients whose phone the provider does not know: 400, always the same ones. */
  refused: share,
  /** Shares of the calls; the same message may fare better the next time. */
  tooMany: share,
  unavailable: share,
  /** The connection ends without an answer, after the message was accepted. */
  drop: share,
  retryAfter: retryAfterSeconds,
  /** Recipients (the `memberId` of a message) that are refused, and the code of the refusal. */
  refusals: z.record(z.string(), refusal),
});

/** See the fields of {@link behaviourSchema}. */
export type Behaviour = z.output<typeof behaviourSchema>;

export const defaultBehaviour: Behaviour = {
  latency: 0,
  refused: 0,
  tooMany: 0,
  unavailable: 0,
  drop: 0,
  retryAfter: 1,
  refusals: {},
};

/**
 * Changes a part of the behaviour.
 * @throws Error naming each field that is unknown or malformed, or shares that add up to more than 1
 */
export function changeBehaviour(behaviour: Behaviour, change: unknown): Behaviour {
  const changed = withChange(behaviourSchema, behaviour, change);
  refuseExcess('of the calls', [changed.tooMany, changed.unavailable, changed.drop]);
  return changed;
}
