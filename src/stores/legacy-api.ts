import { request } from 'undici';
import {
  asUtf8,
  baseOf,
  boundedCall,
  CallLimiter,
  type CallTurn,
  createAgent,
  MalformedBody,
  pathSegment,
  type Response,
  type ShareCalls,
  statusError,
  Unacceptable,
} from 'keystride/http';

/** What a byte of an answer takes in memory: as text, as objects, and as BSON while it is written. Measured. */
const heldPerByte = 3;

/** An answer that goes on beyond this has no end that is worth waiting for. In bytes. */
const longestAnswer = 128 * 1024 * 1024;

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
  readonly #agent: ReturnType<typeof createAgent>;
  readonly #sharing: ReturnType<ShareCalls> | undefined;

  /**
   * @param base URL; calls go to `{base}/documents/{ticketKey}/sentences`.
   * @param share divides the calls among all workers. @default each finds out what the API takes
   */
  constructor(base: string, share?: ShareCalls) {
    this.#base = baseOf(base);
    this.#agent = createAgent(base);
    this.#sharing = share?.(this.calls);
  }

  /**
   * The body of a document's sentences, in UTF-8 whatever it came in.
   *
   * Its bytes are reserved before they are read, so that however many calls are in flight, what they hold is bounded.
   *
   * @throws HttpStatusError, MalformedBody (broken off, or not in its charset), Unacceptable (a key that names another
   *   address, an answer of more than 128 MiB), or the network's error.
   */
  async sentences(ticketKey: string, context: CallContext): Promise<Buffer> {
    const segment = pathSegment(ticketKey);
    return this.calls.run(context, (answered) =>
      boundedCall(context.signal, async (bounds) => {
        const response = await request(`${this.#base}/documents/${segment}/sentences`, {
          dispatcher: this.#agent,
          headers: { accept: 'application/json' },
          signal: bounds.signal,
        });
        answered();
        if (response.statusCode !== 200) throw await statusError(response);
        const announced = Number(response.headers['content-length'] ?? 0);
        if (announced > longestAnswer) throw tooLong(response.body);
        if (announced > 0) {
          await context.reserve(announced * heldPerByte);
          // Waiting for memory is not the API's fault.
          bounds.refresh();
        }
        return asUtf8(await readBody(response.body, announced, context.reserve), response.headers);
      }),
    );
  }

  async close(): Promise<void> {
    await this.#sharing?.close();
    await this.#agent.close();
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
      if (received + part.length > longestAnswer) throw tooLong(body);
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

/** Closes the connection: what is still to come would be read by whoever uses it next. */
function tooLong(body: Response['body']): Unacceptable {
  body.destroy();
  return new Unacceptable(`the answer has more than ${longestAnswer} bytes`);
}

/** Makes room for an answer whose size was not announced. */
async function enlarge(buffer: Buffer, atLeast: number, reserve: CallContext['reserve']): Promise<Buffer> {
  const enlarged = Buffer.allocUnsafe(Math.max(64 * 1024, buffer.length * 2, atLeast));
  await reserve((enlarged.length - buffer.length) * heldPerByte);
  buffer.copy(enlarged);
  return enlarged;
}

const brokenOff = /other side closed|terminated|aborted by the server|content-length mismatch/iu;
