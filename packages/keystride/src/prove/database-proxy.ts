import { once } from 'node:events';
import { createServer, connect, type Server, type Socket } from 'node:net';

/** What can go wrong between a worker and its database. */
export const connectionFaults = [
  /** COMMIT never arrives: the connection is gone before. */
  'commitLost',
  /** COMMIT is done, its answer is lost with the connection. */
  'commitReplyLost',
  /** COMMIT is done, its answer does not come, and for a while the connection looks alive. */
  'commitReplyLate',
  /** The answer to any statement is lost with the connection. */
  'replyLost',
  /** All connections are gone at once, when a COMMIT has been sent. */
  'connectionsCut',
] as const;

/** The name of one of {@link connectionFaults}. */
export type ConnectionFaultKind = (typeof connectionFaults)[number];

/** A fault that a proxy lets happen once. */
export interface ConnectionFault {
  readonly kind: ConnectionFaultKind;
  /** At which COMMIT, for `replyLost` at which message of a client, counted over all connections: 1 is the first. */
  readonly at: number;
}

/** How long a connection looks alive whose answer does not come, in milliseconds. */
const silenceMs = 4_000;

/** A simple query of the word COMMIT, as the wire protocol has it. */
const commitMessage = Buffer.from('Q\0\0\0\x0bCOMMIT\0', 'latin1');

/**
 * Stands between workers and a PostgreSQL server, and loses what it is told to lose.
 *
 * It knows nothing of the protocol but the one message COMMIT, and it sees that only where the connection is not
 * encrypted; our driver sends it as a packet of its own.
 */
export class DatabaseProxy {
  /** Called with each fault as it happens. */
  onFault: (kind: ConnectionFaultKind) => void = () => undefined;
  #commits = 0;
  #messages = 0;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #connections = new Set<{ readonly client: Socket; readonly server: Socket }>();
  #faults: ConnectionFault[];

  private constructor(target: URL, faults: readonly ConnectionFault[]) {
    this.#target = { host: target.hostname, port: Number(target.port || 5432) };
    this.#faults = [...faults];
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  /** Listens on a free port of 127.0.0.1, in front of the server that a connection string names. */
  static async start(target: string, faults: readonly ConnectionFault[]): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(new URL(target), faults);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** COMMITs that have been sent so far. */
  get commits(): number {
    return this.#commits;
  }

  /** Messages that clients have sent so far. */
  get messages(): number {
    return this.#messages;
  }

  /** Whether a connection string names the server behind the proxy. */
  leadsTo(url: string): boolean {
    const { hostname, port } = new URL(url);
    return hostname === this.#target.host && Number(port || 5432) === this.#target.port;
  }

  /** A connection string of the same server, by way of the proxy. */
  urlOf(url: string): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    const through = new URL(url);
    through.hostname = '127.0.0.1';
    through.port = String(address.port);
    return through.href;
  }

  /** Ends every connection without a word. Not by a reset: Node may then wait for unwritten bytes when it exits. */
  cutAll(): void {
    for (const { client, server } of this.#connections) {
      client.destroy();
      server.destroy();
    }
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cutAll();
    await closed;
  }

  #accept(client: Socket): void {
    const server = connect({ ...this.#target, noDelay: true });
    const connection = { client, server };
    this.#connections.add(connection);
    let losing: ConnectionFaultKind | undefined;
    const end = () => {
      this.#connections.delete(connection);
      server.destroy();
      // A connection that looks alive outlives its server's end of it.
      if (losing !== 'commitReplyLate') client.destroy();
    };
    for (const socket of [client, server]) socket.on('error', () => undefined);
    client.on('close', end);
    server.on('close', end);
    client.on('data', (message: Buffer) => {
      if (losing !== undefined) return;
      losing = this.#faultAt(message);
      if (losing === 'commitLost') client.destroy();
      else server.write(message);
      if (losing === 'connectionsCut') setImmediate(() => this.cutAll());
    });
    server.on('data', (reply: Buffer) => {
      if (losing === undefined) client.write(reply);
      else if (losing === 'commitReplyLate') {
        server.destroy();
        setTimeout(() => client.destroy(), silenceMs).unref();
      } else client.destroy();
    });
  }

  /** Counts a message of a client, and takes the fault that is due with it. */
  #faultAt(message: Buffer): ConnectionFaultKind | undefined {
    this.#messages++;
    const isCommit = message.includes(commitMessage);
    if (isCommit) this.#commits++;
    const due = this.#faults.find(({ kind, at }) =>
      kind === 'replyLost' ? at <= this.#messages : isCommit && at <= this.#commits,
    );
    if (due === undefined) return undefined;
    this.#faults = this.#faults.filter((fault) => fault !== due);
    this.onFault(due.kind);
    return due.kind;
  }
}
