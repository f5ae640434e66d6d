import { Agent, request } from 'undici';
import { HttpStatusError, MalformedBody, retryAfter } from './errors.ts';

/** One call, from the request to the last byte. In milliseconds. */
const callTimeout = 30_000;

/** What a byte of an answer takes in memory: as text, as objects, and as BSON while it is written. Measured. */
const heldPerByte = 3;

/** Error bodies are read for their code alone. */
const longestErrorBody = 64 * 1024;

export interface CallContext {
  readonly signal: AbortSignal;
  /** Waits until so many more bytes may be held. */
  reserve(bytes: number): Promise<void>;
}

/** The legacy system's HTTP API. Connections are kept open between calls. */
export class LegacyApi {
  readonly #base: string;
  readonly #agent: Agent;

  /** @param base URL; calls go to `{base}/documents/{ticketKey}/sentences`. */
  constructor(base: string) {
    this.#base = base.replace(/\/+$/u, '');
    // How many calls are open is for the step's concurrency to say, not for a connection limit.
    this.#agent = new Agent({
      connections: null,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      connectTimeout: 5_000,
    });
  }

  /**
   * The body of a document's sentences, as it came.
   *
   * Its bytes are reserved before they are read, so that however many calls are in flight, what they hold is bounded.
   *
   * @throws HttpStatusError, MalformedBody (broken off), or the network's error.
   */
  async sentences(ticketKey: string, { signal, reserve }: CallContext): Promise<Buffer> {
    const bounded = new AbortController();
    const timeout = setTimeout(() => bounded.abort(timedOut()), callTimeout);
    try {
      const response = await request(`${this.#base}/documents/${encodeURIComponent(ticketKey)}/sentences`, {
        dispatcher: this.#agent,
        headers: { accept: 'application/json' },
        signal: AbortSignal.any([signal, bounded.signal]),
      });
      if (response.statusCode !== 200) throw await statusError(response);
      const announced = Number(response.headers['content-length'] ?? 0);
      if (announced > 0) {
        await reserve(announced * heldPerByte);
        // Waiting for memory is not the API's fault.
        timeout.refresh();
      }
      return await readBody(response.body, announced, reserve);
    } finally {
      clearTimeout(timeout);
    }
  }

  close(): Promise<void> {
    return this.#agent.close();
  }
}

type Response = Awaited<ReturnType<typeof request>>;

/** Reads into one buffer of the announced size: parts put together at the end would take the memory twice. */
async function readBody(
  body: Response['body'],
  announced: number,
  reserve: CallContext['reserve'],
): Promise<Buffer> {
  let buffer: Buffer = Buffer.allocUnsafe(announced);
  let received = 0;
  try {
    for await (const part of body as AsyncIterable<Buffer>) {
      if (received + part.length > buffer.length)
        buffer = await enlarge(buffer, received + part.length, reserve);
      received += part.copy(buffer, received);
    }
  } catch (error) {
    if (error instanceof Error && brokenOff.test(error.message)) {
      throw new MalformedBody(`the answer broke off after ${received} of ${announced || 'unknown'} bytes`);
    }
    throw error;
  }
  if (announced > 0 && received !== announced) {
    throw new MalformedBody(`the answer has ${received} bytes where ${announced} were announced`);
  }
  return buffer.subarray(0, received);
}

/** Makes room for an answer whose size was not announced. */
async function enlarge(buffer: Buffer, atLeast: number, reserve: CallContext['reserve']): Promise<Buffer> {
  const enlarged = Buffer.allocUnsafe(Math.max(64 * 1024, buffer.length * 2, atLeast));
  await reserve((enlarged.length - buffer.length) * heldPerByte);
  buffer.copy(enlarged);
  return enlarged;
}

const brokenOff = /other side closed|terminated|aborted by the server|content-length mismatch/iu;

async function statusError(response: Response): Promise<HttpStatusError> {
  const header = response.headers['retry-after'];
  const retryAfterMs = retryAfter(Array.isArray(header) ? header[0] : header);
  return new HttpStatusError(response.statusCode, { retryAfterMs, code: await errorCode(response) });
}

/** The `code` of an error body, if it is JSON and has one. */
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
