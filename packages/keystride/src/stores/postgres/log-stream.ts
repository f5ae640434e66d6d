import type pg from 'pg';
import { LogicalReplicationService, type Pgoutput, PgoutputPlugin } from 'pg-logical-replication';
import { ToldError } from '../../contract/errors.ts';
import { type LogPosition, positionOf, positionText } from './log-position.ts';
import { connectionOptions, driverOptions } from './server-client.ts';
import { pinned } from './session.ts';

/** A table as the log describes it before the first of its rows, and again when it was altered. */
export type LogRelation = Pick<Pgoutput.MessageRelation, 'relationOid' | 'columns' | 'keyColumns'>;

/** A row as the log has it: texts by column; undefined where a large value was left out because it did not change. */
export type LogRow = Readonly<Record<string, string | null | undefined>>;

/** What the log says, in its order. Changes stand between the `begin` and the `commit` of their transaction. */
export type LogEvent = { readonly bytes: number } & (
  | { readonly kind: 'begin'; readonly position: LogPosition; readonly xid: number }
  | { readonly kind: 'commit' }
  | {
      readonly kind: 'row';
      readonly relation: LogRelation;
      /** It was inserted. */
      readonly isNew?: true;
      /** What identified the row before; undefined for an insert, and where its identity did not change. */
      readonly old?: LogRow;
      /** Undefined for a delete. */
      readonly row?: LogRow;
    }
  | { readonly kind: 'truncate'; readonly relations: readonly LogRelation[] }
  /** Everything that was committed up to here has been told. */
  | { readonly kind: 'told'; readonly position: LogPosition }
);

/** What is read: a slot, through a publication. */
export interface LogSource {
  /** Its options say where the server is. */
  readonly pool: pg.Pool;
  readonly slot: string;
  readonly publication: string;
  /** Transactions that have committed up to here are not told. */
  readonly from: LogPosition;
}

/** Bytes of the log that wait to be taken; more are left with the server. As objects they take ten times as much. */
const mostWaiting = 256 * 1024;

/** Events that were taken and are still kept at most. */
const mostTaken = 1_000;

/** How often a server is told that somebody is there, in milliseconds; it gives up after `wal_sender_timeout`. */
const aliveMs = 1_000;

/** How long a connection may take to end by itself, in milliseconds. */
const endWithinMs = 1_000;

/** The connection to a server was lost, and the stream with it. */
export class LogStreamLost extends ToldError {
  override readonly name = 'LogStreamLost';
}

/**
 * The changes of published tables, from a replication slot. Values are the texts that the source renders, in the session
 * settings that all our connections have. Nothing is confirmed to the server but by `confirm`.
 */
export class LogStream {
  readonly #service: LogicalReplicationService;
  #waiting: LogEvent[] = [];
  /** Of those that wait, how many were taken: to shift thousands one by one is slow. */
  #taken = 0;
  #bytes = 0;
  #confirmed: LogPosition;
  #lost: Error | undefined;
  #closed = false;
  #wake: () => void = () => undefined;
  #drained: () => void = () => undefined;
  readonly #alive: NodeJS.Timeout;

  private constructor(connection: pg.ClientConfig, from: LogPosition) {
    this.#confirmed = from;
    this.#service = new LogicalReplicationService(connection, {
      acknowledge: { auto: false, timeoutSeconds: 0 },
      flowControl: { enabled: true },
    });
    this.#service.on('error', (error) => this.#fail(error));
    // The socket rests while this waits.
    this.#service.on('data', () => this.#room());
    this.#service.on('heartbeat', (lsn) => this.#push({ kind: 'told', position: positionOf(lsn), bytes: 0 }));
    this.#alive = setInterval(() => void this.#answer(), aliveMs);
  }

  /** @throws what the server answers: the slot is not there, or another connection reads it (55006). */
  static async open(source: LogSource): Promise<LogStream> {
    const stream = new LogStream(await connectionOf(source.pool), source.from);
    const plugin = new TextPlugin([source.publication], (event) => stream.#push(event));
    const started = new Promise<void>((resolve) => void stream.#service.once('start', () => resolve()));
    const ended = stream.#service.subscribe(plugin, source.slot, positionText(source.from)).then(
      () => stream.#fail(new LogStreamLost('the server has ended the stream of changes')),
      (error: unknown) => {
        stream.#fail(error as Error);
        throw error;
      },
    );
    ended.catch(() => undefined);
    try {
      await Promise.race([started, ended]);
    } catch (error) {
      await stream.close();
      throw error;
    }
    return stream;
  }

  /**
   * The next event; undefined when nothing has come within `waitMs`.
   *
   * @throws LogStreamLost, or what the server said.
   */
  async next(waitMs: number): Promise<LogEvent | undefined> {
    if (this.#taken === this.#waiting.length && waitMs > 0 && !this.#lost) await this.#arrival(waitMs);
    const event = this.ready();
    if (event === undefined && this.#lost) throw this.#lost;
    return event;
  }

  /** The next event, if it has come. A million times a promise would be waited for that is there. */
  ready(): LogEvent | undefined {
    const event = this.#waiting[this.#taken];
    if (event === undefined) return undefined;
    this.#taken += 1;
    if (this.#taken >= mostTaken || this.#taken === this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#taken);
      this.#taken = 0;
    }
    this.#bytes -= event.bytes;
    if (this.#bytes < mostWaiting) this.#drained();
    return event;
  }

  /** Lets the server forget what it has told up to a position. It must be safe elsewhere. */
  confirm(position: LogPosition): void {
    if (position > this.#confirmed) this.#confirmed = position;
  }

  /** Asks the server how far it has come: it answers by `told`. */
  async ask(): Promise<void> {
    await this.#service.acknowledge(positionText(this.#confirmed), true);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#alive);
    this.#fail(new LogStreamLost('the stream of changes was closed'));
    const socket = this.#socket();
    // What rests would never hear that the server has ended.
    socket?.resume();
    const late = setTimeout(() => socket?.destroy(), endWithinMs);
    await this.#service.destroy().catch(() => undefined);
    clearTimeout(late);
  }

  #socket(): { resume(): void; destroy(): void } | undefined {
    const { _connection } = this.#service as unknown as {
      _connection?: { stream?: { resume(): void; destroy(): void } };
    };
    return _connection?.stream;
  }

  async #answer(): Promise<void> {
    if (!this.#lost) await this.#service.acknowledge(positionText(this.#confirmed)).catch(() => undefined);
  }

  #push(event: LogEvent): void {
    if (this.#closed) return;
    this.#waiting.push(event);
    this.#bytes += event.bytes;
    this.#wake();
  }

  #fail(error: Error): void {
    this.#lost ??= error;
    this.#wake();
    this.#drained();
  }

  async #room(): Promise<void> {
    if (this.#bytes < mostWaiting || this.#lost) return;
    await new Promise<void>((resolve) => void (this.#drained = resolve));
  }

  async #arrival(waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, waitMs);
    });
    clearTimeout(timer);
    this.#wake = () => undefined;
  }
}

/** Where a pool connects to, for a connection of another kind. */
async function connectionOf(pool: pg.Pool): Promise<pg.ClientConfig> {
  const { connectionString } = pool.options;
  return {
    ...connectionOptions(pool),
    ...(connectionString === undefined ? {} : await driverOptions(connectionString)),
    options: sessionOptions(),
    query_timeout: 0,
  };
}

/** The settings of our sessions, for a connection that takes no `SET`. */
function sessionOptions(): string {
  return Object.entries(pinned)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\ ]/gu, String.raw`\$&`)}`)
    .join(' ');
}

/** Reads the log's messages, and hands them on in the order in which they came. */
class TextPlugin extends PgoutputPlugin {
  readonly #hear: (event: LogEvent) => void;

  constructor(publicationNames: string[], hear: (event: LogEvent) => void) {
    super({ protoVersion: 1, publicationNames });
    this.#hear = hear;
  }

  override parse(buffer: Buffer): Pgoutput.Message {
    const message = super.parse(buffer);
    const event = eventOf(message, buffer.length);
    if (event) this.#hear(event);
    return message;
  }
}

function eventOf(message: Pgoutput.Message, bytes: number): LogEvent | undefined {
  switch (message.tag) {
    case 'begin': {
      const { commitLsn, xid } = message;
      return { kind: 'begin', position: positionOf(commitLsn ?? '0/0'), xid: xid >>> 0, bytes };
    }
    case 'commit':
      return { kind: 'commit', bytes };
    case 'relation':
      // The parser makes numbers and dates of texts, which loses digits; it keeps this very object for the rows to come.
      for (const column of message.columns) column.parser = (text: string) => text;
      return undefined;
    case 'insert':
      return { kind: 'row', relation: message.relation, isNew: true, row: message.new as LogRow, bytes };
    case 'update': {
      const old = (message.key ?? message.old) as LogRow | null;
      return {
        kind: 'row',
        relation: message.relation,
        row: message.new as LogRow,
        bytes,
        ...(old && { old }),
      };
    }
    case 'delete':
      return { kind: 'row', relation: message.relation, old: (message.key ?? message.old) as LogRow, bytes };
    case 'truncate':
      return { kind: 'truncate', relations: message.relations, bytes };
    default:
      return undefined;
  }
}
