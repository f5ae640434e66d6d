import { request } from 'undici';
import { baseOf, boundedCall, createAgent, type Response, statusError } from './calls.ts';
import { CallLimiter, type CallTurn } from './call-limiter.ts';
import { MalformedBody } from './errors.ts';

/** What a byte of an answer takes in memory: as text, as objects, and as BSON while it is written. Measured. */
const heldPerByte = 3;

export interface CallContext extends CallTurn {
  readonly signal: AbortSignal;
  /** Waits until so many more bytes may be held. */
  reserve(bytes: number): Promise<void>;
}

/** The legacy system's HTTP API. Connections are kept open between calls. */
export class LegacyApi {
  /** All calls go through it. */
  readonly calls = new CallLimiter('the legacy API');
  readonly #base: string;
  readonly #agent = createAgent();

  /** @param base URL; calls go to `{base}/documents/{ticketKey}/sentences`. */
  constructor(base: string) {
    this.#base = baseOf(base);
  }

  /**
   * The body of a document's sentences, as it came.
   *
   * Its bytes are reserved before they are read, so that however many calls are in flight, what they hold is bounded.
   *
   * @throws HttpStatusError, MalformedBody (broken off), or the network's error.
   */
  async sentences(ticketKey: string, context: CallContext): Promise<Buffer> {
    return this.calls.run(context, (answered) =>
      boundedCall(context.signal, async (bounds) => {
        const response = await request(`${this.#base}/documents/${encodeURIComponent(ticketKey)}/sentences`, {
          dispatcher: this.#agent,
          headers: { accept: 'application/json' },
          signal: bounds.signal,
        });
        answered();
        if (response.statusCode !== 200) throw await statusError(response);
        const announced = Number(response.headers['content-length'] ?? 0);
        if (announced > 0) {
          await context.reserve(announced * heldPerByte);
          // Waiting for memory is not the API's fault.
          bounds.refresh();
        }
        return readBody(response.body, announced, context.reserve);
      }),
    );
  }

  close(): Promise<void> {
    return this.#agent.close();
  }
}

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
