import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { connectServer, inPlain } from './server-socket.ts';

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
 * It knows little of the protocol but the one message COMMIT, which our driver sends as a packet of its own. To see it, it
 * is spoken to in plain, on this machine; to the server it speaks as the address asks.
 */
export class DatabaseProxy {
  /** Called with each fault as it happens. */
  onFault: (kind: ConnectionFaultKind) => void = () => undefined;
  #commits = 0;
  #messages = 0;
  readonly #target: string;
  readonly #server: Server;
  /** Of both sides. */
  readonly #sockets = new Set<Socket>();
  #faults: ConnectionFault[];

  private constructor(target: string, faults: readonly ConnectionFault[]) {
    this.#target = target;
    this.#faults = [...faults];
    this.#server = createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
      this.#watch(client);
      void this.#accept(client);
    });
  }

  /** Listens on a free port of 127.0.0.1, in front of the server that a connection string names. */
  static async start(target: string, faults: readonly ConnectionFault[]): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(target, faults);
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
    const [asked, own] = [url, this.#target].map((of) => new URL(of));
    return asked?.hostname === own?.hostname && (asked?.port || '5432') === (own?.port || '5432');
  }

  /** A connection string of the same server, by way of the proxy. */
  urlOf(url: string): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    const through = inPlain(new URL(url));
    through.hostname = '127.0.0.1';
    through.port = String(address.port);
    return through.href;
  }

  /** Ends every connection without a word. Not by a reset: Node may then wait for unwritten bytes when it exits. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cutAll();
    await closed;
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  async #accept(client: Socket): Promise<void> {
    const server = await connectServer(this.#target).catch(() => undefined);
    if (!server || client.destroyed) {
      server?.destroy();
      client.destroy();
      return;
    }
    this.#watch(server);
    this.#relay(client, server);
    client.resume();
  }

  #relay(client: Socket, server: Socket): void {
    let losing: ConnectionFaultKind | undefined;
    client.on('close', () => server.destroy());
    // A connection that looks alive outlives its server's end of it.
    server.on('close', () => losing === 'commitReplyLate' || client.destroy());
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
