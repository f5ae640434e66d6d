import { cutText } from './errors.ts';

/** From where changes are made. `temporal` is whoever talks to Temporal itself: its UI, its command, a client. */
export const auditOrigins = ['command', 'console', 'temporal', 'schedule'] as const;

export type AuditOrigin = (typeof auditOrigins)[number];

/** What people do that is entered, by the words of the command. */
export const auditActions = [
  'start',
  'pause',
  'resume',
  'stop',
  'skip',
  'tune',
  'cancel',
  'terminate',
  'skips redrive',
  'skips waive',
  'verify repair',
  'sync rewind',
  'sync forget',
  'schedule create',
  'schedule update',
  'schedule pause',
  'schedule unpause',
  'schedule trigger',
  'schedule backfill',
  'schedule delete',
  'prune',
] as const;

export type AuditAction = (typeof auditActions)[number];

/** The controls of a run, and a cancellation, which stops it too. */
export type AuditedControl = Extract<AuditAction, 'pause' | 'resume' | 'stop' | 'skip' | 'tune' | 'cancel'>;

/** Who makes a change, and from where. It is what the caller says: whoever reaches Temporal can say what he likes. */
export interface ChangedBy {
  /** A person's name, of at most {@link longestOperator} bytes. */
  readonly operator: string;
  readonly from: AuditOrigin;
}

/** Who has started a run, as far as its workflow can tell. */
export interface StartedBy {
  /** As the caller has said; undefined where nobody has. */
  readonly by?: ChangedBy;
  readonly reason?: string;
  /** It is a part of this workflow, whose start is the one that somebody made. */
  readonly parent?: string;
}

/** Who makes a change, and why. */
export interface Authorship {
  readonly by: ChangedBy;
  readonly reason?: string | undefined;
}

/** Bytes of UTF-8 that an operator's name may have. */
export const longestOperator = 200;

/** The operator of a change that nobody has signed, where Temporal does not know either. */
export const unknownOperator = 'unknown';

/** States and figures that a change is about. Plain and small; never a row's content. */
export type AuditFacts = Readonly<Record<string, unknown>>;

/** A change that is to be entered. */
export interface AuditEntry extends Authorship {
  readonly action: AuditAction;
  readonly before?: AuditFacts;
  readonly after?: AuditFacts;
  /** ISO time. @default now, by the ledger's clock */
  readonly at?: string;
  readonly job?: string;
  readonly instance?: string;
  readonly workflowId?: string;
  readonly runId?: string;
  /** The schedule or the stream that was changed; undefined for a run. */
  readonly subject?: string;
  /** What it is in Temporal's history: two entries of one source are one. Undefined where history does not have it. */
  readonly source?: string;
}

/** The memo in which whoever starts a run says who he is and why; the run enters it when it has claimed its instance. */
export const authorshipMemo = 'keystrideBy';

/** What is wrong with a `by` that somebody sent, in words; undefined when nothing is. */
export function wrongChangedBy(by: unknown): string | undefined {
  if (by === undefined) return undefined;
  const { operator, from } = (by ?? {}) as Partial<Record<keyof ChangedBy, unknown>>;
  const fits =
    typeof operator === 'string' && operator !== '' && cutText(operator, longestOperator) === operator;
  if (fits && auditOrigins.some((origin) => origin === from)) return undefined;
  return `"by" takes {"operator": a name of at most ${longestOperator} bytes, "from": ${auditOrigins.join(' | ')}}`;
}
