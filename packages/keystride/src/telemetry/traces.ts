import { createHash } from 'node:crypto';

/** What a span is called; what it is about stands in its attributes. */
export type SpanName = 'run' | 'step' | 'page' | 'tasklet' | 'chunk' | 'read' | 'prepare' | 'call';

/** Of a span: figures and names, never what a row holds. Each is told with `keystride.` before it. */
export type Attributes = Readonly<
  Partial<Record<'job' | 'instance' | 'step' | 'partition' | 'items' | 'api', string | number>>
>;

/** The claim of an execution, as far as its trace is derived from it. */
export interface TracedClaim {
  readonly job: string;
  readonly instance: string;
  readonly epoch: number;
  readonly ledger?: string;
}

/** The ids of a span that is told when it has ended, and of those below it. */
export interface SpanPlace {
  readonly traceId: string;
  readonly spanId: string;
}

/** A span that was over before it was told. Times are milliseconds since 1970. */
export interface EndedSpan {
  readonly name: SpanName;
  readonly place: SpanPlace;
  /** Undefined for the root of a trace. */
  readonly parent: SpanPlace | undefined;
  readonly attributes: Attributes;
  readonly from: number;
  readonly to: number;
  readonly failed: boolean;
}

/** Somebody who takes spans. */
export interface Tracer {
  /** Runs `body` within a span, below `parent` or the span that it is called in. */
  within<Result>(
    name: SpanName,
    attributes: Attributes,
    body: () => Promise<Result>,
    parent: SpanPlace | undefined,
  ): Promise<Result>;
  /** Tells of a span that is over. */
  tell(span: EndedSpan): void;
}

let tracer: Tracer | undefined;

/** From now on this process tells its spans. */
export function traceWith(taker: Tracer): void {
  tracer = taker;
}

/** Whether anybody takes spans. */
export function isTracing(): boolean {
  return tracer !== undefined;
}

/** Runs `body` within a span below the one that it is called in; where nobody takes spans, just runs it. */
export function inSpan<Result>(
  name: SpanName,
  attributes: Attributes,
  body: () => Promise<Result>,
): Promise<Result> {
  return tracer ? tracer.within(name, attributes, body, undefined) : body();
}

/** The same for what an activity does for a step of an execution: its span is below that of the step. */
export function inSpanOfStep<Result>(
  name: SpanName,
  {
    claim,
    step,
    partition,
  }: { readonly claim: TracedClaim; readonly step: string; readonly partition?: number },
  body: () => Promise<Result>,
): Promise<Result> {
  if (!tracer) return body();
  const { job, instance } = claim;
  const attributes = { job, instance, step, ...(partition === undefined ? {} : { partition }) };
  return tracer.within(name, attributes, body, placeOf(claim, step));
}

/** Tells of a span that is over, where anybody takes it. */
export function tellSpan(span: EndedSpan): void {
  tracer?.tell(span);
}

/** The trace of an execution; undefined where nobody takes spans. */
export function traceIdOf(claim: TracedClaim): string | undefined {
  return tracer ? placeOf(claim).traceId : undefined;
}

/**
 * Where the span of an execution stands, or that of a step of it. It follows from the claim alone, so that every worker
 * knows it, workflows need not carry it, and a run that continues as new goes on with its trace.
 */
export function placeOf({ ledger = '', instance, epoch }: TracedClaim, step?: string): SpanPlace {
  const traceId = digest(`${ledger}\n${instance}\n${epoch}`).slice(0, 32);
  return { traceId, spanId: digest(`${traceId}\n${step ?? ''}`).slice(0, 16) };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
