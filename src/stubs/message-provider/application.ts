import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { retryAfterHeader } from '../legacy-api/faults.ts';
import { fraction } from '../legacy-api/hash.ts';
import { answerJson, createStub, readText } from '../application.ts';
import { Mailbox, type KeyedMessage } from './mailbox.ts';
import { changeBehaviour, type Behaviour } from './settings.ts';

const messageSchema = z.object({ memberId: z.string().min(1), text: z.string().min(1) });

/** A stub of a message provider that honours `Idempotency-Key`, not listening yet. */
export function createMessageProvider(seed: string, initial: Behaviour): Server {
  const provider = new MessageProvider(seed, initial);
  return createStub({
    call: (request, response) => {
      if (request.url !== '/messages') return undefined;
      if (request.method === 'POST') return provider.accept(request, response);
      if (request.method !== 'GET') return undefined;
      answerJson(response, 200, provider.mailbox.list());
      return Promise.resolve();
    },
    report: () => provider.mailbox.report(),
    reset: () => provider.mailbox.reset(),
    configure: (change) => (provider.behaviour = changeBehaviour(provider.behaviour, change)),
  });
}

/** What a call meets, if it is not simply accepted. */
type Refusal = { readonly status: number; readonly code: string };

class MessageProvider {
  readonly mailbox = new Mailbox();
  behaviour: Behaviour;
  readonly #seed: string;
  /** Keys of calls that have not been answered yet. */
  readonly #underWay = new Set<string>();

  constructor(seed: string, behaviour: Behaviour) {
    this.#seed = seed;
    this.behaviour = behaviour;
  }

  async accept(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = request.headers['idempotency-key'];
    const body = messageSchema.safeParse(await jsonOf(request));
    if (typeof key !== 'string' || !body.success) {
      const code = body.success ? 'IDEMPOTENCY_KEY_MISSING' : 'MALFORMED_MESSAGE';
      return this.#refuse(response, { status: 400, code });
    }
    const message = this.mailbox.receive(key, body.data.memberId);
    if (this.#underWay.has(key)) return this.#refuse(response, { status: 409, code: 'IN_PROGRESS' });
    this.#underWay.add(key);
    try {
      await this.#deliver(message, response);
    } finally {
      this.#underWay.delete(key);
    }
  }

  /** Delivers a message of which nothing was delivered yet, whoever still listens to the answer. */
  async #deliver(message: KeyedMessage, response: ServerResponse): Promise<void> {
    const { latency, drop, retryAfter } = this.behaviour;
    const fault = this.#turnedAway(message) ?? this.#refusalOf(message);
    if (fault !== undefined) return this.#refuse(response, fault, retryAfter, message.received);
    const dropped = this.#chance(message) < drop;
    if (latency > 0) await sleep(latency);
    message.delivered = 1;
    this.mailbox.answered(dropped ? 'dropped' : 202);
    if (dropped) response.destroy();
    else answerJson(response, 202, { id: message.key });
  }

  /** What happens to a share of the calls: chosen from the other end than those that are dropped. */
  #turnedAway(message: KeyedMessage): Refusal | undefined {
    const { tooMany, unavailable } = this.behaviour;
    const position = 1 - this.#chance(message);
    if (position <= tooMany) return { status: 429, code: 'TOO_MANY_REQUESTS' };
    return position <= tooMany + unavailable ? { status: 503, code: 'UNAVAILABLE' } : undefined;
  }

  /** What is wrong with a member, every time. */
  #refusalOf({ memberId }: KeyedMessage): Refusal | undefined {
    const { refusals, refused } = this.behaviour;
    const code = Object.hasOwn(refusals, memberId) ? refusals[memberId] : undefined;
    if (code !== undefined) return { status: 400, code };
    return fraction(this.#seed, 'member', memberId) < refused
      ? { status: 400, code: 'UNKNOWN_PHONE' }
      : undefined;
  }

  /** The same for the same seed, member and attempt. */
  #chance({ memberId, received }: KeyedMessage): number {
    return fraction(this.#seed, 'call', memberId, received);
  }

  #refuse(response: ServerResponse, { status, code }: Refusal, retryAfter?: number, attempt = 1): void {
    const comeBack = (status === 429 || status === 503) && retryAfter !== undefined;
    this.mailbox.answered(status);
    answerJson(
      response,
      status,
      { code },
      comeBack ? { 'retry-after': retryAfterHeader(retryAfter, attempt, new Date()) } : {},
    );
  }
}

async function jsonOf(request: IncomingMessage): Promise<unknown> {
  try {
    return JSON.parse(await readText(request));
  } catch {
    return undefined;
  }
}
