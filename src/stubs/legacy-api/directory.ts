import { open, readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { ToldError } from 'keystride';
import type { Sentence } from './documents.ts';

/** Enough of a file to tell text from anything else. */
const SAMPLE_BYTES = 8 * 1024;

/** Files looked at at a time. */
const FILES_AT_A_TIME = 32;

/**
 * The ticket keys of a directory: the paths of all text files below it, relative to it, with `/` between the
 * parts, in byte order. A text file is UTF-8 without NUL bytes, whatever it is called. Links are not followed.
 *
 * @throws Error when the directory cannot be read or holds no text file
 */
export async function listTicketKeys(directory: string): Promise<string[]> {
  const paths = await listFiles(directory);
  const keys: string[] = [];
  for (let from = 0; from < paths.length; from += FILES_AT_A_TIME) {
    const batch = paths.slice(from, from + FILES_AT_A_TIME);
    const text = await Promise.all(batch.map(isTextFile));
    keys.push(...batch.filter((_, index) => text[index]).map((path) => ticketKeyOf(directory, path)));
  }
  if (keys.length === 0)
    throw new ToldError(`There is no text file below ${directory}: name a directory with some`);
  return keys.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
}

async function listFiles(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ToldError(`Cannot list the documents below ${directory}: ${reason}`, { cause: error });
  }
}

function ticketKeyOf(directory: string, path: string): string {
  return relative(directory, path).split(sep).join('/');
}

async function isTextFile(path: string): Promise<boolean> {
  try {
    await using file = await open(path);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(SAMPLE_BYTES), 0, SAMPLE_BYTES, 0);
    const sample = buffer.subarray(0, bytesRead);
    if (sample.includes(0)) return false;
    // The sample may end inside a character: `stream` keeps that from being an error.
    new TextDecoder('utf-8', { fatal: true }).decode(sample, { stream: true });
    return true;
  } catch {
    // Unreadable is as good as binary here.
    return false;
  }
}

/** Reads a text file below the directory by its ticket key, one that {@link listTicketKeys} returned. */
export async function readSentences(directory: string, ticketKey: string): Promise<Sentence[]> {
  return splitSentences(await readFile(join(directory, ...ticketKey.split('/')), 'utf8'));
}

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

/** Splits a text into its sentences, numbered from 1, without the white space around them. */
export function splitSentences(text: string): Sentence[] {
  const sentences: Sentence[] = [];
  for (const { segment } of segmenter.segment(text)) {
    const trimmed = segment.trim();
    if (trimmed !== '') sentences.push({ no: sentences.length + 1, text: trimmed });
  }
  return sentences;
}
