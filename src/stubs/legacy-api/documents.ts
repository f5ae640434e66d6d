import { fraction, hash32 } from './hash.ts';
import type { SizeChoice } from './settings.ts';

export interface Sentence {
  no: number;
  text: string;
}

/** The shape of one document, known before a byte of it is made. */
export interface DocumentPlan {
  ticketKey: string;
  sentenceCount: number;
  /** Bytes of the JSON body. */
  contentLength: number;
}

/** Documents made up on demand; the same seed and ticket key always give the same bytes. */
export interface DocumentSource {
  /** @param bytes the least size of the JSON body; drawn from the size distribution when left out */
  plan(ticketKey: string, bytes?: number): DocumentPlan;
  /** The JSON body in pieces of at most {@link PIECE_BYTES}, so that a large document is never in memory. */
  pieces(plan: DocumentPlan): Generator<Buffer, void, undefined>;
  /** What the body says, for whoever has to check what became of it. */
  sentences(plan: DocumentPlan): Sentence[];
}

export const PIECE_BYTES = 128 * 1024;

/** A power of two, so that every odd stride walks through the whole pool. */
const POOL_SIZE = 1024;

/** What belongs to every sentence beside its number and its text: `{"no":`, `,"text":`, `}` and a comma. */
const SENTENCE_FRAME_BYTES = 16;

const HEAD = Buffer.from('{"no":');
const MIDDLE = Buffer.from(',"text":');
const BODY_END = Buffer.from(']}');

/**
 * Makes documents of a size distribution.
 *
 * Sentences come from a pool of texts that is rendered once; a document is a walk through it that its ticket
 * key decides, so that serving one costs little more than copying its bytes. The first sentence names the
 * ticket key: no two documents are equal.
 */
export function createDocumentSource(seed: string, sizes: readonly SizeChoice[]): DocumentSource {
  const texts = Array.from({ length: POOL_SIZE }, (_, index) => makeText(seed, index));
  const rendered = texts.map((text) => Buffer.from(JSON.stringify(text)));

  /** The texts of a document in order, without end: the plan says where to stop. */
  function walk(ticketKey: string): (no: number) => number {
    const start = hash32(`${seed}\u0000start\u0000${ticketKey}`);
    const stride = hash32(`${seed}\u0000stride\u0000${ticketKey}`) | 1;
    return (no) => (start + Math.imul(no, stride)) & (POOL_SIZE - 1);
  }

  return {
    plan(ticketKey, bytes = chooseSize(sizes, fraction(seed, 'size', ticketKey))) {
      const at = walk(ticketKey);
      // The last sentence has no comma.
      let length = openingOf(ticketKey).length + BODY_END.length - 1;
      let no = 0;
      do {
        no += 1;
        const text = no === 1 ? firstSentence(ticketKey) : rendered[at(no)]!;
        length += SENTENCE_FRAME_BYTES + String(no).length + text.length;
      } while (length < bytes);
      return { ticketKey, sentenceCount: no, contentLength: length };
    },
    *pieces(plan) {
      const at = walk(plan.ticketKey);
      let remaining = plan.contentLength;
      let piece = new Piece(remaining);
      piece.add(openingOf(plan.ticketKey));
      for (let no = 1; no <= plan.sentenceCount; no += 1) {
        const text = no === 1 ? firstSentence(plan.ticketKey) : rendered[at(no)]!;
        if (!piece.hasRoomFor(text)) {
          remaining -= piece.length;
          yield piece.bytes();
          piece = new Piece(remaining);
        }
        piece.addSentence(no, text, no === plan.sentenceCount);
      }
      piece.add(BODY_END);
      yield piece.bytes();
    },
    sentences(plan) {
      const at = walk(plan.ticketKey);
      return Array.from({ length: plan.sentenceCount }, (_, index) => {
        const no = index + 1;
        return { no, text: no === 1 ? firstText(plan.ticketKey) : texts[at(no)]! };
      });
    },
  };
}

/** A buffer that fills up with sentences. */
class Piece {
  readonly #buffer: Buffer;
  #length = 0;

  constructor(bytesLeft: number) {
    // The last sentence and the end of the body must fit whatever is in the piece already.
    this.#buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, bytesLeft));
  }

  get length(): number {
    return this.#length;
  }

  hasRoomFor(text: Buffer): boolean {
    if (this.#buffer.length < PIECE_BYTES) return true;
    const longestNumber = 10;
    const needed = SENTENCE_FRAME_BYTES + longestNumber + text.length + BODY_END.length;
    return this.#length + needed <= PIECE_BYTES;
  }

  add(bytes: Buffer): void {
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  addSentence(no: number, text: Buffer, last: boolean): void {
    this.add(HEAD);
    this.#length += this.#buffer.write(String(no), this.#length, 'latin1');
    this.add(MIDDLE);
    this.add(text);
    this.#buffer[this.#length++] = 0x7d; // }
    if (!last) this.#buffer[this.#length++] = 0x2c; // ,
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

function openingOf(ticketKey: string): Buffer {
  return Buffer.from(`{"ticketKey":${JSON.stringify(ticketKey)},"sentences":[`);
}

function firstText(ticketKey: string): string {
  return `This is the document with the ticket ${ticketKey}.`;
}

function firstSentence(ticketKey: string): Buffer {
  return Buffer.from(JSON.stringify(firstText(ticketKey)));
}

function chooseSize(sizes: readonly SizeChoice[], position: number): number {
  const total = sizes.reduce((sum, { weight }) => sum + weight, 0);
  let end = 0;
  for (const { bytes, weight } of sizes) {
    end += weight / total;
    if (position < end) return bytes;
  }
  return sizes.at(-1)?.bytes ?? 0;
}

/** Words of several scripts, and what JSON must escape: text that a careless byte count trips over. */
const WORDS = (
  'the of a document thesis shows that earlier work compares two methods and finds neither better ' +
  'chapter author evidence therefore sample however result table measured value between groups ' +
  'naïve Übung façade 문서 표절 검사 결과는 研究 方法 данные 🙂 "quoted" back\\slash'
)
  .split(' ')
  .concat('tab\there', 'line\nbreak');

function makeText(seed: string, index: number): string {
  const length = 8 + Math.floor(fraction(seed, 'length', index) * 36);
  const words = Array.from({ length }, (_, position) => {
    const choice = Math.floor(fraction(seed, 'word', index, position) * WORDS.length);
    return WORDS[choice]!;
  });
  return `${words.join(' ')}.`;
}
