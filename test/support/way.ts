import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What becomes of a message to the server. */
export type Passage = 'passes' | 'is cut' | 'waits';

/** A way to a server on which messages can be held up, or end their connection instead of arriving. */
export class Way {
  /** Decides about each message, by its number, from 1. */
  onMessage: (number: number) => Passage = () => 'passes';
  #messages = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(host: string, port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, host);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => (near.destroy(), far.destroy()));
      }
      near.on('data', (bytes: Buffer) => {
        // What monitors the server has a connection of its own, and is no message of anybody.
        const passage = bytes.includes('hello') || bytes.includes('ismaster') ? 'passes' : this.#decide();
        if (passage === 'is cut') near.destroy();
        else if (passage === 'passes') far.write(bytes);
        else {
          near.pause();
          this.#waiting.push(() => (far.write(bytes), near.resume()));
        }
      });
      far.on('data', (bytes: Buffer) => near.write(bytes));
    });
  }

  /** Whether something is held up. */
  get holds(): boolean {
    return this.#waiting.length > 0;
  }

  /** Opens a port that leads to the server, and returns it. */
  async open(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets everything go on that was held up, and all that follows. */
  release(): void {
    this.onMessage = () => 'passes';
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #decide(): Passage {
    return this.onMessage(++this.#messages);
  }
}
