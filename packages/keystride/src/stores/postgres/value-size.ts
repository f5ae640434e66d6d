import { constants } from 'node:buffer';
import type { Readable } from 'node:stream';
import pg from 'pg';
import { ToldError } from '../../contract/errors.ts';
import { InexactJson } from './read-json.ts';

/** A value that no text of this process holds, or that PostgreSQL cannot send or take as text. */
export class ValueTooLarge extends ToldError {
  override readonly name = 'ValueTooLarge';
}

/** What fits one message of the protocol, in bytes, with some room for what stands around it. */
const longestMessage = 1_000_000_000;

const longestText = Math.floor(constants.MAX_STRING_LENGTH / 2 ** 20);

function tooLarge(doing: string, cause?: unknown): ValueTooLarge {
  return new ValueTooLarge(
    `a value is too large to be ${doing}: as text it may have ${longestText} MB, and its row 1 GB. Leave the column out, or copy the row by other means.`,
    { cause },
  );
}

type Listener = (chunk: Buffer) => void;

interface DriverConnection {
  attachListeners(stream: Pick<Readable, 'on'>): void;
}

/**
 * Has a value that is too large fail the statement that reads it, with its connection. The driver makes texts of values
 * in a listener of the socket, where nobody could catch what is thrown, and the process would end.
 */
export function failTooLarge(client: pg.Client): void {
  const { connection } = client as unknown as { readonly connection: DriverConnection };
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (stream) => {
    const guarded = (listener: Listener) => (chunk: Buffer) => {
      try {
        listener(chunk);
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'ERR_STRING_TOO_LONG') throw error;
        (stream as Readable).destroy(tooLarge('read', error));
      }
    };
    attach({
      on: (event: string, listener: Listener) =>
        stream.on(event, event === 'data' ? guarded(listener) : listener),
    } as Pick<Readable, 'on'>);
  };
}

/**
 * What a read has thrown because of a value that is too large, or that cannot be read as it is; undefined where it has
 * thrown something else.
 */
export function unreadable(error: unknown): ToldError | undefined {
  if (error instanceof ValueTooLarge || error instanceof InexactJson) return error;
  // As text a bytea takes twice its bytes, which may be more than the server can allocate.
  const refused =
    error instanceof pg.DatabaseError &&
    (error.code === '54000' || (error.code === 'XX000' && error.message.startsWith('invalid memory alloc')));
  return refused ? tooLarge('read', error) : undefined;
}

/** @throws ValueTooLarge for parameters that are more than a message holds. The server would end the connection. */
export function refuseTooLarge(parameters: readonly unknown[]): void {
  const texts = parameters.filter((parameter) => typeof parameter === 'string');
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  // A character takes three bytes at most for each unit of its length.
  if (length * 3 < longestMessage) return;
  if (texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) > longestMessage)
    throw tooLarge('written');
}

/** An array as JSON. @throws ValueTooLarge where that is longer than a text may be. */
export function jsonOfArray(values: readonly unknown[]): string {
  try {
    return JSON.stringify(values);
  } catch (error) {
    throw error instanceof RangeError ? tooLarge('written', error) : error;
  }
}
