import { type Extent, lineOf, splitLine, type Splitter } from './records.ts';

const lineFeed = 10;
const carriageReturn = 13;

/**
 * Finds where CSV records end: at a line end outside of quotes. A quote counts where a field begins; that one stands
 * elsewhere is for the parser to refuse.
 *
 * A record whose quotes are wrong would swallow what follows up to the next quote of any record; it is given up at its
 * first line end instead.
 *
 * @throws TypeError when a delimiter or a quote is not one ASCII character.
 */
export function csvSplitter(delimiter: string, quote: string | null): Splitter {
  const separator = asciiCode('delimiter', delimiter);
  if (quote === null) return splitUnquoted;
  const mark = asciiCode('quote', quote);
  return (bytes, atEnd) => {
    let fieldBegins = true;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === lineFeed) return lineOf(bytes, at, at + 1);
      if (byte === carriageReturn && bytes[at + 1] !== lineFeed) {
        if (at + 1 < bytes.length) return malformed(bytes, atEnd, loneReturn);
        if (!atEnd) return undefined;
      }
      if (byte === mark && fieldBegins) {
        const closing = closingQuote(bytes, at + 1, mark, atEnd);
        if (closing === undefined)
          return atEnd ? malformed(bytes, atEnd, 'has a quote that is not closed') : undefined;
        if (!mayFollow(bytes, closing + 1, separator))
          return malformed(bytes, atEnd, 'has something between a closing quote and the next field');
        at = closing;
      }
      fieldBegins = byte === separator;
    }
    return atEnd ? lineOf(bytes, bytes.length, bytes.length) : undefined;
  };
}

/** Whoever wrote it may have meant line ends; then all of the file is one record. */
const loneReturn =
  'has a carriage return that is no line end (lines end with \\n or \\r\\n; convert the file, or quote the field)';

function splitUnquoted(bytes: Buffer, atEnd: boolean): Extent | undefined {
  const line = splitLine(bytes, atEnd);
  if (!line || !bytes.subarray(0, line.content).includes(carriageReturn)) return line;
  return { ...line, problem: loneReturn };
}

/** The place of the quote that closes a field; undefined when there is none, or more bytes must tell. */
function closingQuote(bytes: Buffer, from: number, mark: number, atEnd: boolean): number | undefined {
  for (let at = bytes.indexOf(mark, from); at >= 0; at = bytes.indexOf(mark, at + 2)) {
    // The byte after it says whether it is doubled; after a carriage return, one more says whether a line ends.
    if (at + 2 >= bytes.length && !atEnd) return undefined;
    if (bytes[at + 1] !== mark) return at;
  }
  return undefined;
}

function mayFollow(bytes: Buffer, at: number, separator: number): boolean {
  const next = bytes[at];
  if (next === carriageReturn) return bytes[at + 1] === undefined || bytes[at + 1] === lineFeed;
  return next === undefined || next === separator || next === lineFeed;
}

function malformed(bytes: Buffer, atEnd: boolean, problem: string): Extent | undefined {
  const line = splitLine(bytes, atEnd);
  return line && { ...line, problem };
}

function asciiCode(what: string, character: string): number {
  const code = character.charCodeAt(0);
  if (character.length === 1 && code < 128 && code !== lineFeed && code !== carriageReturn) return code;
  throw new TypeError(
    `the ${what} of a CSV file must be one ASCII character, not ${JSON.stringify(character)}.`,
  );
}
