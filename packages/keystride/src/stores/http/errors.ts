import { ToldError } from '../../contract/errors.ts';
import type { ErrorClass } from '../../contract/classification.ts';

/** An answer with a status that is not a success. */
export class HttpStatusError extends ToldError {
  override readonly name = 'HttpStatusError';
  readonly status: number;
  /** From Retry-After, in milliseconds; undefined when the header is missing or unreadable. */
  readonly retryAfterMs: number | undefined;
  /** The machine-readable code in the body, if it had one. */
  readonly code: string | undefined;

  constructor(
    status: number,
    details: { retryAfterMs?: number | undefined; code?: string | undefined } = {},
  ) {
    super(`the API answered ${status}${details.code ? ` ${details.code}` : ''}`);
    this.status = status;
    this.retryAfterMs = details.retryAfterMs;
    this.code = details.code;
  }
}

/** An answer that is not what was agreed: broken off, not JSON, of another shape. Tells where, never what it held. */
export class MalformedBody extends ToldError {
  override readonly name = 'MalformedBody';
}

/** An answer that is whole and cannot be kept as it is, or a key that cannot be asked for. Trying again changes nothing. */
export class Unacceptable extends ToldError {
  override readonly name = 'Unacceptable';
}

/** Codes of undici and of Node's sockets that say the API or the way to it is away. */
const awayCodes: readonly string[] = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_SOCKET',
];

const timeoutCodes: readonly string[] = ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'];

/** Classifies what an HTTP call has raised. What a 4xx means is for the job to say; here it fails. */
export function classifyHttp(error: unknown): ErrorClass | undefined {
  if (error instanceof HttpStatusError) return classifyStatus(error);
  if (error instanceof Unacceptable) return { decision: 'fail', code: 'UNACCEPTABLE' };
  // Perhaps cut off on the way: tried again, and when it stays so, the item is at fault and the step fails.
  if (error instanceof MalformedBody) return { decision: 'retry', code: 'MALFORMED_BODY' };
  if (!(error instanceof Error)) return undefined;
  if (isTimeout(error)) return { decision: 'retry', code: 'TIMEOUT', unavailable: true };
  if (isGarbled(error)) return { decision: 'retry', code: 'MALFORMED_ANSWER' };
  const code = codeOf(error);
  return awayCodes.includes(code) ? { decision: 'retry', code, unavailable: true } : undefined;
}

/**
 * An error of an HTTP client in words that may be shown: its code. The message of undici may quote an address, a header
 * or the beginning of an answer.
 *
 * @returns undefined for what is no error of an HTTP client.
 */
export function httpMessage(error: Error): string | undefined {
  const code = codeOf(error);
  if (isGarbled(error)) return 'the answer breaks the rules of HTTP';
  if (/^(UND_ERR|HPE)_[A-Z_]{1,60}$/u.test(code)) return `the HTTP call failed (${code})`;
  // What `fetch` wraps says it.
  if (error instanceof TypeError && error.message === 'fetch failed') return 'fetch failed';
  return error.name === 'TimeoutError' || error.name === 'AbortError'
    ? `the call was given up (${error.name})`
    : undefined;
}

/** Whether a call has ended because it took too long. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === 'TimeoutError' || timeoutCodes.includes(codeOf(error)));
}

/** What a proxy that ends in the midst of an answer may leave of it. Undici names its parser's errors by their class alone. */
function isGarbled(error: Error): boolean {
  return error.name === 'HTTPParserError' || codeOf(error) === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function classifyStatus({ status, retryAfterMs }: HttpStatusError): ErrorClass {
  const code = `HTTP_${status}`;
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (status === 429) return { decision: 'retry', code, busy: true, unavailable: true, ...wait };
  if (status === 503)
    return { decision: 'retry', code, busy: retryAfterMs !== undefined, unavailable: true, ...wait };
  return status >= 500 || status === 408
    ? { decision: 'retry', code, unavailable: true, ...wait }
    : { decision: 'fail', code };
}

/**
 * Retry-After in both its forms (RFC 9110 §10.2.3): seconds, or an HTTP date.
 *
 * @returns milliseconds from now, not negative; undefined when there is none to be read.
 */
export function retryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  const value = header.trim();
  if (/^\d+$/u.test(value)) return Number(value) * 1000;
  // Date.parse takes many things for dates; an HTTP date begins with the day of the week.
  const date = /^[a-z]{3,9},? /iu.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
