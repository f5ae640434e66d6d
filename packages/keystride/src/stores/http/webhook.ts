import { ToldError } from '../../contract/errors.ts';
import { retryAfter } from './errors.ts';

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
 * What `fetch` says is not passed on, since it may quote the address; nor is a redirection followed, which would send the
 * message to somebody else.
 *
 * @returns the status of its answer
 * @throws WebhookRefused
 */
export async function postToWebhook(address: string, body: unknown, signal: AbortSignal): Promise<number> {
  const url = new URL(address);
  const headers = { 'content-type': 'application/json', ...authorization(url) };
  let answer: Response;
  try {
    answer = await fetch(withoutUser(url), {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(callTimeout)]),
    });
    await answer.body?.cancel();
  } catch (error) {
    throw new WebhookRefused(`the webhook at ${url.host} did not answer (${reasonOf(error)})`);
  }
  if (answer.ok) return answer.status;
  const asked = retryAfter(answer.headers.get('retry-after') ?? undefined);
  throw new WebhookRefused(`the webhook at ${url.host} answered ${answer.status}`, asked);
}

/** A user and a password in the address, which `fetch` refuses there. */
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
