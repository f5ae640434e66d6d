import { request } from 'undici';
import { ToldError } from '../../contract/errors.ts';
import { createAgent } from './calls.ts';
import { retryAfter, Unacceptable } from './errors.ts';

/** One call, from the request to the answer. In milliseconds. */
const callTimeout = 10_000;

/** A webhook that did not take what it was sent. The message names its host alone: the path may hold a token. */
export class WebhookRefused extends ToldError {
  override readonly name = 'WebhookRefused';
  /** How long it asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Posts JSON to a webhook, once.
 *
 * It is where an API may be: in a private network only where `KEYSTRIDE_PRIVATE_HOSTS` lists it. A redirection is not
 * followed, since it would send the message to somebody else, and what an error says is not passed on, since it may quote
 * the address.
 *
 * @returns the status of its answer
 * @throws WebhookRefused
 */
export async function postToWebhook(address: string, body: unknown, signal: AbortSignal): Promise<number> {
  const url = new URL(address);
  const agent = createAgent(address);
  try {
    const {
      statusCode,
      headers,
      body: answer,
    } = await request(withoutUser(url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization(url) },
      body: JSON.stringify(body),
      dispatcher: agent,
      signal: AbortSignal.any([signal, AbortSignal.timeout(callTimeout)]),
    });
    // Its status is all that is wanted: what follows may be without end.
    answer.on('error', () => undefined).destroy();
    if (statusCode >= 200 && statusCode < 300) return statusCode;
    const asked = retryAfter([headers['retry-after']].flat()[0]);
    throw new WebhookRefused(`the webhook at ${url.host} answered ${statusCode}`, asked);
  } catch (error) {
    if (error instanceof WebhookRefused) throw error;
    if (error instanceof Unacceptable)
      throw new WebhookRefused(`the webhook is not called: ${error.message}`);
    throw new WebhookRefused(`the webhook at ${url.host} did not answer (${reasonOf(error)})`);
  } finally {
    await agent.destroy();
  }
}

/** A user and a password in the address, which belong into a header. */
function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function withoutUser(url: URL): URL {
  const plain = new URL(url);
  plain.username = '';
  plain.password = '';
  return plain;
}

/** A code such as ECONNREFUSED, or the kind of error. */
function reasonOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause)
    if ('code' in at && typeof at.code === 'string') return at.code;
  return error instanceof Error ? error.name : 'unknown';
}
