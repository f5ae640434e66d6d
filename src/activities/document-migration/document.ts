import { createHash } from 'node:crypto';
import { BSON } from 'mongodb';
import { v5 as uuidv5 } from 'uuid';
import { parseExactly } from 'keystride';
import { MalformedBody } from 'keystride/http';
import type { KeyedDocument, Unmarked } from 'keystride/mongo';

/** A row of `migration_target` that is to be migrated. */
export interface Target {
  readonly id: string;
  readonly ticket_key: string;
}

export interface Sentence {
  readonly no: number;
  readonly text: string;
}

/** A document in `sentence_extract`: with its sentences, or with the file that holds them. */
export interface SentenceExtract extends KeyedDocument {
  readonly ticketKey: string;
  readonly sentences?: readonly Sentence[];
  readonly fileId?: string;
  readonly sentenceCount: number;
  readonly sha256: string;
}

/** A document on its way to the stores. */
export interface MigratedDocument {
  readonly target: Target;
  /** Without the file's id: every attempt to store the document gives its file another. */
  readonly extract: Unmarked<SentenceExtract>;
  /** The compact JSON of the sentences, where they are too large for one MongoDB document. */
  readonly file: Buffer | undefined;
}

/** MongoDB's limit for one document. */
const largestDocument = 16 * 1024 * 1024;

/** As long as the marks of any attempt. */
const anyMarks = { epoch: Number.MAX_SAFE_INTEGER, fence: Number.MAX_SAFE_INTEGER };

/** The key of a document in every store: the same on every attempt. */
export function preprocessIdOf(ticketKey: string): string {
  return uuidv5(ticketKey, uuidv5.URL);
}

/** Lower-case hex SHA-256 of a file's content, which comes in parts: the compact JSON of sentences. */
export async function hashOfFile(json: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of json) hash.update(part);
  return hash.digest('hex');
}

/**
 * The same of sentences, piece by piece: the JSON of a large document need not be in memory beside it.
 *
 * @param onPart is given the JSON in parts, if it is wanted after all.
 */
export function hashOfSentences(sentences: readonly Sentence[], onPart?: (json: string) => void): string {
  const hash = createHash('sha256');
  const add = (json: string) => {
    hash.update(json);
    onPart?.(json);
  };
  add('[');
  for (let first = 0; first < sentences.length; first += 1000) {
    if (first > 0) add(',');
    add(JSON.stringify(sentences.slice(first, first + 1000)).slice(1, -1));
  }
  add(']');
  return hash.digest('hex');
}

/**
 * Makes the document of an answer of the legacy API.
 *
 * Its sentences are kept whole, with fields that nobody has agreed on too.
 *
 * @param bytes that a document may have; the sentences of a larger one go to a file.
 * @throws MalformedBody when it is not the JSON that was agreed; Unacceptable when it is and cannot be kept as it is.
 */
export function documentOf(target: Target, body: Buffer, bytes = largestDocument): MigratedDocument {
  const most = Math.min(bytes, largestDocument);
  const { sentences, fitsDocument } = parseSentences(target.ticket_key, body);
  const id = preprocessIdOf(target.ticket_key);
  const head = { _id: id, ticketKey: target.ticket_key };
  const sentenceCount = sentences.length;
  // Nothing takes more than seven times as many bytes in BSON as in JSON, which a list of digits does: most bodies need
  // no measuring.
  const surelyFits = fitsDocument && 8 * body.length < most;
  const parts: string[] = [];
  const sha256 = hashOfSentences(sentences, surelyFits ? undefined : (json) => parts.push(json));
  const whole = { ...head, sentences, sentenceCount, sha256 };
  if (surelyFits || (fitsDocument && BSON.calculateObjectSize({ ...whole, ...anyMarks }) <= most))
    return { target, extract: whole, file: undefined };
  return {
    target,
    extract: { ...head, sentenceCount, sha256 },
    file: Buffer.from(parts.join('')),
  };
}

interface Answer {
  readonly sentences: readonly Sentence[];
  /** Their form is such as MongoDB takes; otherwise a file holds them. */
  readonly fitsDocument: boolean;
}

function parseSentences(ticketKey: string, body: Buffer): Answer {
  const { value: parsed, fitsDocument } = parseExactly(body);
  const { ticketKey: answered, sentences } = (parsed ?? {}) as { ticketKey?: unknown; sentences?: unknown };
  if (answered !== ticketKey)
    throw new MalformedBody('the answer is not about the document that was asked for');
  if (!Array.isArray(sentences)) throw new MalformedBody('the answer has no list of sentences');
  const wrong = sentences.findIndex((sentence: unknown) => !isSentence(sentence));
  if (wrong >= 0)
    throw new MalformedBody(`sentence ${wrong} of ${sentences.length} has no number or no text`);
  return { sentences: sentences as Sentence[], fitsDocument };
}

function isSentence(value: unknown): value is Sentence {
  if (typeof value !== 'object' || value === null) return false;
  const { no, text } = value as Partial<Sentence>;
  return typeof no === 'number' && typeof text === 'string';
}
