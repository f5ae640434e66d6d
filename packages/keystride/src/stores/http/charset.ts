import type { IncomingHttpHeaders } from 'node:http';
import { MalformedBody } from './errors.ts';

/** The marks that a text may begin with, which say more than a header does. */
const marks: readonly (readonly [charset: string, bytes: readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
];

/**
 * A body in UTF-8, without a mark at its beginning. It is read in the charset that it says it is in, by its mark or its
 * content-type, else as UTF-8, which is what JSON is in.
 *
 * Nothing is replaced by a sign that stands for what could not be read; what says that it is UTF-8 is passed on as it is.
 *
 * @throws MalformedBody where its bytes are not of that charset, the charset is not known, or the body is compressed.
 */
export function asUtf8(body: Buffer, headers: IncomingHttpHeaders): Buffer {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== '' && encoding !== 'identity')
    throw new MalformedBody('the answer is compressed, which was not asked for');
  const mark = marks.find(([, bytes]) => bytes.every((byte, index) => body[index] === byte));
  const charset = mark?.[0] ?? charsetOf(headers['content-type'] ?? '') ?? 'utf-8';
  // Whoever parses it decodes it, and finds what is not UTF-8.
  if (charset === 'utf-8' || charset === 'utf8') return body.subarray(mark?.[1].length ?? 0);
  return Buffer.from(decode(body, charset));
}

function charsetOf(contentType: string): string | undefined {
  return /;\s*charset\s*=\s*"?([^";\s]+)/iu.exec(contentType)?.[1]?.toLowerCase();
}

function decode(body: Buffer, charset: string): string {
  const named = /^[\w.:-]{1,40}$/u.test(charset) ? charset : 'that its content-type names';
  const decoder = decoderOf(charset);
  if (!decoder) throw new MalformedBody(`the charset ${named} of the answer is not known`);
  // The web reads ASCII as if it were Windows-1252.
  const notAscii = /^(us-)?ascii$/u.test(charset) && body.some((byte) => byte > 0x7f);
  try {
    if (!notAscii) return decoder.decode(body);
  } catch {
    // Told below.
  }
  throw new MalformedBody(`the answer of ${body.length} bytes is not in the charset ${named}`);
}

function decoderOf(charset: string) {
  try {
    return new TextDecoder(charset, { fatal: true });
  } catch {
    return undefined;
  }
}
