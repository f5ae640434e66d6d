import type { Logger } from '@temporalio/common';
import type { HoldableRequest, Throttled } from '../contract/step-activities.ts';
import { ToldError } from '../contract/errors.ts';
import { heldBack } from '../contract/held-back.ts';
import type { QuietHours } from '../contract/policy.ts';
import { quietNow } from '../contract/quiet-hours.ts';
import { safeMessage } from './item-errors.ts';

/** Something that may be too busy for batch work, a database. */
export interface HealthCheck {
  readonly name: string;
  /** Why it is; null when it is not. Throws when that cannot be told. */
  look(): Promise<string | null>;
}

/** Whether a page may go on. */
export interface Verdict {
  /** Why not, and when to ask again; null when it may. */
  readonly throttled: Throttled | null;
  /** What could not be looked at: the page goes on without knowing. Null when everything could. */
  readonly unreadable: string | null;
}

interface Look {
  readonly busy: string | null;
  readonly unreadable: string | null;
}

/** The least time between two looks at the same part, in milliseconds. */
const lookEveryMs = 3_000;

/** How long a look may take, in milliseconds: well below the time in which a page must give a sign of life. */
const patienceMs = 4_000;

/** A look that takes long is taken less often: it costs at most this share of the time. */
const shareOfTime = 1 / 20;

/** When to ask again about a health, in seconds: the workflow asks less and less often. */
const askAgainSeconds = 10;

/** What a part last looked like, shared by all pages of the process. */
class SharedLook {
  readonly #check: HealthCheck;
  #last: Look = { busy: null, unreadable: null };
  #dueAt = 0;
  #looking: Promise<Look> | undefined;

  constructor(check: HealthCheck) {
    this.#check = check;
  }

  /** As it was a few seconds ago at most. */
  async fresh(): Promise<Look> {
    return performance.now() < this.#dueAt ? this.#last : (this.#looking ??= this.#look());
  }

  /** As it was when it was looked at last, at once; the next look is on its way when it is due. */
  get last(): Look {
    if (performance.now() >= this.#dueAt) void this.fresh();
    return this.#last;
  }

  async #look(): Promise<Look> {
    const begun = performance.now();
    const { name } = this.#check;
    try {
      const busy = await inTime(this.#check.look());
      this.#last = { busy: busy === null ? null : `${name}: ${busy}`, unreadable: null };
    } catch (error) {
      this.#last = { busy: null, unreadable: `${name}: ${safeMessage(error)}` };
    }
    const ended = performance.now();
    this.#dueAt = ended + Math.max(lookEveryMs, (ended - begun) / shareOfTime);
    this.#looking = undefined;
    return this.#last;
  }
}

/**
 * Holds pages back: in quiet hours, and while a database is too busy.
 *
 * A health that cannot be read holds nobody: a fault in the watching must not stop the work, and a database that is away
 * makes itself felt by the chunks. It is told, by the log and by a decision.
 */
export class Gate {
  readonly #looks: readonly SharedLook[];
  readonly #quietHours: readonly QuietHours[];

  /** @param quietHours of this process, besides those of a step. */
  constructor(checks: readonly HealthCheck[] = [], quietHours: readonly QuietHours[] = []) {
    this.#looks = checks.map((check) => new SharedLook(check));
    this.#quietHours = quietHours;
  }

  /**
   * Whether a page may begin, by figures of a few seconds ago at most.
   *
   * @param temporalMs a time that Temporal's clock has shown, in milliseconds. A wait for the end of quiet hours goes by
   * that clock: where it is ahead of ours it is right.
   */
  async ask(quietHours: readonly QuietHours[] = [], temporalMs = 0): Promise<Verdict> {
    return (
      this.#quiet(quietHours, temporalMs) ??
      verdictOf(await Promise.all(this.#looks.map((shared) => shared.fresh())))
    );
  }

  /**
   * Lets work begin that has no partition's state to come back with, a tasklet or a page of a verification.
   *
   * @throws HeldBack with why, and when to ask again.
   */
  async letIn(
    { mayBeHeld }: Pick<HoldableRequest, 'mayBeHeld'>,
    temporalMs: number,
    log: Logger,
  ): Promise<void> {
    if (!mayBeHeld) return;
    const { throttled, unreadable } = await this.ask([], temporalMs);
    if (unreadable !== null) log.warn(`went on without knowing the health of ${unreadable}`);
    if (throttled) throw heldBack(throttled);
  }

  /** The same between two chunks, for whoever cannot wait: by what is known. */
  glance(quietHours: readonly QuietHours[] = [], temporalMs = 0): Verdict {
    return this.#quiet(quietHours, temporalMs) ?? verdictOf(this.#looks.map((shared) => shared.last));
  }

  #quiet(quietHours: readonly QuietHours[], temporalMs: number): Verdict | null {
    const all = [...this.#quietHours, ...quietHours];
    const now = new Date(Math.max(Date.now(), temporalMs));
    const quiet = all.length > 0 ? quietNow(all, now) : null;
    if (!quiet) return null;
    const { hours, until } = quiet;
    const end = until ? `until ${until.toISOString()}` : 'and they leave no time to run in';
    // Not a moment too early: another timer for a fraction of a second helps nobody.
    const seconds = until ? Math.ceil((until.getTime() - now.getTime()) / 1000) : 24 * 3600;
    const reason = `quiet hours ${hours}, ${end}`;
    return { throttled: { reason, retryAfterSeconds: seconds, certain: true }, unreadable: null };
  }
}

function verdictOf(looks: readonly Look[]): Verdict {
  const busy = looks.flatMap((look) => look.busy ?? []).join('; ');
  const unreadable = looks.flatMap((look) => look.unreadable ?? []).join('; ');
  return {
    throttled: busy ? { reason: busy, retryAfterSeconds: askAgainSeconds, certain: false } : null,
    unreadable: unreadable || null,
  };
}

async function inTime<Answer>(look: Promise<Answer>): Promise<Answer> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new ToldError(`no answer within ${patienceMs / 1000} s`)),
    patienceMs,
  );
  try {
    return await Promise.race([look, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
