import { Agent, type Dispatcher } from 'undici';
import { HttpStatusError, retryAfter } from './errors.ts';

/** One call, from the request to the last byte. In milliseconds. */
const callTimeout = 30_000;

/** Error bodies are read for their code alone. */
const longestErrorBody = 64 * 1024;

/** An answer whose body has not been read yet. */
export type Response = Dispatcher.ResponseData;

/** Connections that are kept open between calls. How many calls are open is for the step's concurrency to say. */
export function createAgent(): Agent {
  return new Agent({
    connections: null,
    pipelining: 1,
    keepAliveTimeout: 30_000,
    connectTimeout: 5_000,
  });
}

/** The address of an API without the slash at its end, so that a path can follow. */
export function baseOf(url: string): string {
  return url.replace(/\/+$/u, '');
}

/** What bounds a call. */
export interface CallBounds {
  /** Aborted when the caller gives up, or when the time is over. */
  readonly signal: AbortSignal;
  /** Gives the call its whole time once more. */
  refresh(): void;
}

/**
 * Makes a call that ends within thirty seconds, however slowly its answer trickles in.
 *
 * @throws TimeoutError, or whatever `call` throws.
 */
export async function boundedCall<Result>(
  signal: AbortSignal,
  call: (bounds: CallBounds) => Promise<Result>,
): Promise<Result> {
  const bounded = new AbortController();
  const timeout = setTimeout(() => bounded.abort(timedOut()), callTimeout);
  try {
    return await call({
      signal: AbortSignal.any([signal, bounded.signal]),
      refresh: () => void timeout.refresh(),
    });
  } finally {
    clearTimeout(timeout);
  }
}

/** The error of an answer that is not a success, with its Retry-After and the `code` of its JSON body, if any. */
export async function statusError(response: Response): Promise<HttpStatusError> {
  const header = response.headers['retry-after'];
  const retryAfterMs = retryAfter(Array.isArray(header) ? header[0] : header);
  return new HttpStatusError(response.statusCode, { retryAfterMs, code: await errorCode(response) });
}

async function errorCode({ body }: Response): Promise<string | undefined> {
  try {
    const text = await body.text();
    const parsed: unknown = text.length > longestErrorBody ? undefined : JSON.parse(text);
    const code = typeof parsed === 'object' && parsed !== null && 'code' in parsed ? parsed.code : undefined;
    return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/u.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

function timedOut(): Error {
  return new DOMException(`no complete answer within ${callTimeout / 1000} s`, 'TimeoutError');
}
