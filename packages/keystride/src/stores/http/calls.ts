import { Agent, type Dispatcher } from 'undici';
import { HttpStatusError, retryAfter, Unacceptable } from './errors.ts';
import { connectorTo } from './private-hosts.ts';

/** One call, from the request to the last byte. In milliseconds. */
const callTimeout = 30_000;

/** Error bodies are read for their code alone, and no further. In bytes. */
const longestErrorBody = 64 * 1024;

/** Of an address, in bytes: many servers take no more. */
const longestAddress = 8 * 1024;

/** An answer whose body has not been read yet. */
export type Response = Dispatcher.ResponseData;

/**
 * Connections to an API that are kept open between calls. How many calls are open is for the step's concurrency to say.
 *
 * They lead to the API's own host alone, and into a private network only where `KEYSTRIDE_PRIVATE_HOSTS` lists it: calls
 * that would lead elsewhere fail as `Unacceptable`.
 *
 * @param base the API's address, which the deployment names
 */
export function createAgent(base: string): Agent {
  return new Agent({
    connections: null,
    pipelining: 1,
    keepAliveTimeout: 30_000,
    connect: connectorTo(base),
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
    const text = await bodyWithin(body, longestErrorBody);
    const parsed: unknown = text === undefined ? undefined : JSON.parse(text);
    const code = typeof parsed === 'object' && parsed !== null && 'code' in parsed ? parsed.code : undefined;
    return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/u.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** A body as text; undefined, and its connection closed, when it has more bytes. */
async function bodyWithin(body: Response['body'], most: number): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  // Whoever leaves the loop early closes the connection.
  for await (const part of body as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > most) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/**
 * A key as one segment of a path.
 *
 * @throws Unacceptable for one that would ask for another address, or that no address can hold.
 */
export function pathSegment(key: string): string {
  const problem = problemOf(key);
  if (problem === undefined) return encodeURIComponent(key);
  throw new Unacceptable(
    `this key cannot be asked for: ${problem}. Correct it in the source, or set it aside`,
  );
}

function problemOf(key: string): string | undefined {
  if (key === '') return 'it is empty';
  if (/^\.\.?$/u.test(key)) return 'in an address it would name another one';
  if (!key.isWellFormed()) return 'it holds half of a surrogate pair';
  if (/\p{Cc}/u.test(key)) return 'it holds a control character';
  return encodeURIComponent(key).length > longestAddress ? 'it is too long for an address' : undefined;
}

/**
 * The address of a path below an API's own.
 *
 * @throws Unacceptable where the path would lead elsewhere: by dots, by a host of its own, or by what is no path at all.
 */
export function addressOf(base: string, path: string): string {
  const url = URL.parse(`${base}${path}`);
  const [own = ''] = path.split(/[?#]/u);
  const root = new URL(base).pathname.replace(/\/+$/u, '');
  if (path.startsWith('/') && url?.pathname === `${root}${own}` && url.origin === new URL(base).origin)
    return `${base}${path}`;
  throw new Unacceptable('a path of this API would lead to another address; encode what it is made of');
}

function timedOut(): Error {
  return new DOMException(`no complete answer within ${callTimeout / 1000} s`, 'TimeoutError');
}
