import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { bodyOf, firstHalf, type Bodies, type Body } from './bodies.ts';
import { decideFault, errorBody, latencyOf, retryAfterHeader } from './faults.ts';
import type { Behaviour, Fault } from './settings.ts';
import type { Statistics } from './statistics.ts';
import type { Turns } from './turns.ts';

/** What every call needs. */
export interface CallContext {
  seed: string;
  bodies: Bodies;
  statistics: Statistics;
  turns: Turns;
  /** Read anew at each call, since it changes at run time. */
  behaviour(): Behaviour;
}

/** Marks a call that was sent on already, so that a forced redirect ends. */
const REDIRECTED = '?redirected';

const RETRYABLE_STATUSES = new Set([429, 503]);

/** Answers one call for a document, with its fault if it has one. */
export async function answerCall(
  context: CallContext,
  request: IncomingMessage,
  response: ServerResponse,
  ticketKey: string,
): Promise<void> {
  const behaviour = context.behaviour();
  const attempt = context.statistics.begin(ticketKey);
  const call = new Call(context, behaviour, response, ticketKey, attempt);
  const { maxConcurrent, maxQueued } = behaviour;
  if (maxConcurrent !== null && context.statistics.inFlight > maxConcurrent + maxQueued) {
    call.refuse(429);
    return;
  }
  const fault = decideFault(behaviour, context.seed, ticketKey, attempt);
  // Whoever turns calls away does so at once; everything else takes its time.
  const refused = fault?.kind === 'status' && RETRYABLE_STATUSES.has(fault.status);
  const latency = refused ? 0 : latencyOf(behaviour, context.seed, ticketKey, attempt);
  if (!refused) await context.turns.take(call);
  if (latency > 0 && !response.destroyed) await sleep(latency);
  if (response.destroyed) return;
  await call.answer(fault, request.url ?? '');
}

class Call {
  readonly #context: CallContext;
  readonly #behaviour: Behaviour;
  readonly #response: ServerResponse;
  readonly #ticketKey: string;
  readonly #attempt: number;
  #open = true;

  constructor(
    context: CallContext,
    behaviour: Behaviour,
    response: ServerResponse,
    ticketKey: string,
    attempt: number,
  ) {
    this.#context = context;
    this.#behaviour = behaviour;
    this.#response = response;
    this.#ticketKey = ticketKey;
    this.#attempt = attempt;
    response.once('close', () => this.#end('dropped'));
  }

  async answer(fault: Fault | undefined, url: string): Promise<void> {
    switch (fault?.kind) {
      case undefined:
        return this.#sendDocument(undefined);
      case 'size':
        return this.#sendDocument(fault.bytes);
      case 'status':
        return this.refuse(fault.status, fault.code);
      case 'redirect':
        return url.endsWith(REDIRECTED) ? this.#sendDocument(undefined) : this.#redirect(url);
      case 'wrong-shape':
        return this.#send(
          200,
          bodyOf(Buffer.from(JSON.stringify({ ticketKey: this.#ticketKey, sentences: 0 }))),
        );
      case 'invalid-json':
        return this.#sendInvalidJson();
      case 'truncate':
      case 'stall':
        return this.#sendHalf(fault.kind);
      case 'reset':
        this.#response.destroy();
        return;
      case 'hang':
        // The client has to give up.
        return;
    }
  }

  /** Answers with an error, asking to come back later where the status says so. */
  refuse(status: number, code?: string): void {
    const headers = RETRYABLE_STATUSES.has(status)
      ? { 'retry-after': retryAfterHeader(this.#behaviour.retryAfter, this.#attempt, new Date()) }
      : {};
    this.#sendText(status, errorBody(this.#ticketKey, status, code), headers);
  }

  #redirect(url: string): void {
    this.#sendText(302, '', { location: `${url}${REDIRECTED}` });
  }

  #sendText(status: number, text: string, headers: Record<string, string>): void {
    const bytes = Buffer.from(text);
    this.#response.writeHead(status, {
      ...headers,
      'content-type': 'application/json',
      'content-length': bytes.length,
    });
    this.#end(status);
    this.#response.end(bytes);
  }

  async #sendDocument(bytes: number | undefined): Promise<void> {
    const body = await this.#context.bodies(this.#ticketKey, bytes);
    if (body === undefined) return this.refuse(404);
    return this.#send(200, body);
  }

  async #sendInvalidJson(): Promise<void> {
    const body = await this.#context.bodies(this.#ticketKey);
    if (body === undefined) return this.refuse(404);
    // Half a document with a Content-Length to match: HTTP is content, JSON is not.
    const contentLength = Math.floor(body.contentLength / 2);
    return this.#send(200, { contentLength, pieces: firstHalf(body) });
  }

  /** Promises a whole document, sends half of it, and then hangs up or goes quiet. */
  async #sendHalf(kind: 'truncate' | 'stall'): Promise<void> {
    const body = await this.#context.bodies(this.#ticketKey);
    if (body === undefined) return this.refuse(404);
    this.#writeHead(200, body.contentLength);
    for (const piece of firstHalf(body)) await this.#write(piece);
    if (kind === 'truncate') this.#response.destroy();
  }

  async #send(status: number, body: Body): Promise<void> {
    this.#writeHead(status, body.contentLength);
    let sent = 0;
    for (const piece of body.pieces) {
      sent += piece.length;
      if (sent < body.contentLength) {
        await this.#write(piece);
        if (this.#response.destroyed) return;
        continue;
      }
      // Counted before the last bytes leave: a client that has them may call again before we hear of it.
      this.#end(status);
      this.#response.end(piece);
    }
  }

  #writeHead(status: number, contentLength: number): void {
    this.#response.writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': contentLength,
    });
  }

  /** Resolves when the piece has left, or nobody is there to take it. */
  async #write(piece: Buffer): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#response.write(piece, () => resolve());
    });
  }

  #end(outcome: number | 'dropped'): void {
    if (!this.#open) return;
    this.#open = false;
    this.#context.statistics.end(outcome);
    this.#context.turns.leave(this);
  }
}
