import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import pg from 'pg';

/** Message types of the wire protocol that a pooler has to know. */
const readyForQuery = 'Z';
const terminate = 'X';

/** A session of the server, which whoever begins a transaction is given. */
interface Session {
  readonly stream: Duplex;
  onReply: (reply: Buffer) => void;
}

/**
 * Stands before a PostgreSQL server as PgBouncer does with `pool_mode = transaction`: the sessions behind it are shared,
 * each transaction gets the one that has waited for longest, and what is set in a session stays in it for whoever comes
 * next.
 */
export class TransactionPooler {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #sessions: pg.Client[];
  readonly #idle: Session[];
  readonly #waiting: ((session: Session) => void)[] = [];

  private constructor(sessions: pg.Client[]) {
    this.#sessions = sessions;
    this.#idle = sessions.map((client) => sessionOf(client));
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  /** Listens on a free port of 127.0.0.1, with so many sessions of the database that a connection string names. */
  static async start(url: string, sessions = 3): Promise<TransactionPooler> {
    const clients = Array.from({ length: sessions }, () => new pg.Client({ connectionString: url }));
    await Promise.all(clients.map((client) => client.connect()));
    const pooler = new TransactionPooler(clients);
    pooler.#server.listen(0, '127.0.0.1');
    await once(pooler.#server, 'listening');
    return pooler;
  }

  /** A connection string of the same database, by way of the pooler. */
  urlOf(url: string): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the pooler does not listen');
    return Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(address.port) }).href;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const client of this.#clients) client.destroy();
    await closed;
    for (const session of this.#sessions) session.connection.stream.destroy();
  }

  #accept(client: Socket): void {
    this.#clients.add(client);
    client.on('error', () => undefined);
    client.on('close', () => this.#clients.delete(client));
    let session: Session | undefined;
    client.once('data', () => {
      client.write(greeting());
      client.on('data', (question: Buffer) => {
        if (String.fromCharCode(question[0] ?? 0) === terminate) client.end();
        else if (session) session.stream.write(question);
        else
          this.#lend((lent) => {
            session = lent;
            lent.onReply = repliesTo(client, () => {
              session = undefined;
              this.#giveBack(lent);
            });
            lent.stream.write(question);
          });
      });
    });
  }

  #lend(use: (session: Session) => void): void {
    const session = this.#idle.shift();
    if (session) use(session);
    else this.#waiting.push(use);
  }

  #giveBack(session: Session): void {
    const next = this.#waiting.shift();
    if (next) next(session);
    else this.#idle.push(session);
  }
}

/** A session that a driver has opened, without the driver. */
function sessionOf(client: pg.Client): Session {
  const { stream } = client.connection;
  stream.removeAllListeners();
  const session: Session = { stream, onReply: () => undefined };
  stream.on('data', (reply: Buffer) => session.onReply(reply));
  stream.on('error', () => undefined);
  return session;
}

/** Passes replies on, and tells when a transaction has ended. */
function repliesTo(client: Socket, onEnd: () => void): (reply: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (reply) => {
    rest = Buffer.concat([rest, reply]);
    let at = 0;
    let ended = false;
    while (rest.length >= at + 5 && rest.length >= at + 1 + rest.readInt32BE(at + 1)) {
      if (String.fromCharCode(rest[at] ?? 0) === readyForQuery)
        ended = String.fromCharCode(rest[at + 5] ?? 0) === 'I';
      at += 1 + rest.readInt32BE(at + 1);
    }
    const whole = rest.subarray(0, at);
    rest = rest.subarray(at);
    if (ended) onEnd();
    client.write(whole);
  };
}

/** What a client is told before it has a session: it may come in, under a number that is no session's, and is ready. */
function greeting(): Buffer {
  const message = (type: string, ...body: Buffer[]) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(4 + body.reduce((sum, { length: bytes }) => sum + bytes, 0));
    return Buffer.concat([Buffer.from(type), length, ...body]);
  };
  const number = Buffer.alloc(8);
  number.writeInt32BE(randomInt(2 ** 30, 2 ** 31 - 1));
  return Buffer.concat([
    message('R', Buffer.alloc(4)),
    message('K', number),
    message(readyForQuery, Buffer.from('I')),
  ]);
}
