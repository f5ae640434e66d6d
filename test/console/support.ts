import { request, type IncomingHttpHeaders } from 'node:http';
import { loadConfig } from '../../packages/keystride/src/settings/config.ts';
import { startConsole, type ConsoleOptions } from '../../packages/keystride/src/console/server.ts';

/** A request as a browser, a program or somebody else may send it. */
export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  json(): unknown;
}

/** A console in this process, and what talks to it. */
export interface TestConsole {
  readonly url: string;
  readonly port: number;
  /** One request, with exactly these headers. The path goes out as it is. */
  send(path: string, sent?: Sent): Promise<Answer>;
  /** A browser with cookies of its own. */
  browser(): Browser;
  stop(): Promise<void>;
}

/** Nobody answers there: what is tested with it asks nobody. */
const nobody = { TEMPORAL_ADDRESS: '127.0.0.1:9' };

/** @param environment of the console; it listens on a free port of 127.0.0.1 */
export async function testConsole(
  environment: NodeJS.ProcessEnv = {},
  options: ConsoleOptions = {},
): Promise<TestConsole> {
  const config = loadConfig({ KEYSTRIDE_CONSOLE: '127.0.0.1:0', ...nobody, ...environment }, ['temporal']);
  const { url, stop } = await startConsole(config, options);
  const port = Number(new URL(url).port);
  const send = (path: string, sent: Sent = {}) => sendTo(port, path, sent);
  return { url, port, send, stop, browser: () => new Browser(send, url) };
}

/** One request to a port of this machine, with exactly these headers. */
export function sendTo(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body }: Sent = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const all = { host: `127.0.0.1:${port}`, ...headers };
    const sent = request({ host: '127.0.0.1', port, path, method, headers: all }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => JSON.parse(text) as unknown,
        }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** What a browser does without scripts: it keeps cookies, says where a request comes from, and sends forms. */
export class Browser {
  readonly #send: TestConsole['send'];
  readonly #origin: string;
  #cookie = '';

  constructor(send: TestConsole['send'], origin: string) {
    this.#send = send;
    this.#origin = origin;
  }

  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.#kept(
      await this.#send(path, {
        headers: {
          ...this.#cookies,
          'sec-fetch-site': 'same-origin',
          'sec-fetch-mode': 'navigate',
          ...headers,
        },
      }),
    );
  }

  async post(
    path: string,
    fields: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    return this.#kept(
      await this.#send(path, {
        method: 'POST',
        headers: {
          ...this.#cookies,
          'content-type': 'application/x-www-form-urlencoded',
          'sec-fetch-site': 'same-origin',
          origin: this.#origin,
          ...headers,
        },
        body: new URLSearchParams(fields).toString(),
      }),
    );
  }

  /** Opens the page and sends its form, with what was filled in. */
  async fillIn(path: string, fields: Readonly<Record<string, string>>): Promise<Answer> {
    return this.post(path, { token: await this.tokenAt(path), ...fields });
  }

  /** What the form of a page proves itself with. */
  async tokenAt(path: string): Promise<string> {
    const { text } = await this.get(path);
    return /name="token" value="([^"]+)"/u.exec(text)?.[1] ?? '';
  }

  get #cookies(): Record<string, string> {
    return this.#cookie === '' ? {} : { cookie: this.#cookie };
  }

  #kept(answer: Answer): Answer {
    const [set] = answer.headers['set-cookie'] ?? [];
    if (set !== undefined) this.#cookie = set.split(';', 1)[0] ?? '';
    return answer;
  }
}
