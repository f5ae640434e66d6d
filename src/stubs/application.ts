import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** Much longer than a client keeps an idle connection: a test should not meet that race by chance. */
const KEEP_ALIVE_MILLISECONDS = 120_000;

/** The most that is read of a request. */
const MAXIMUM_REQUEST_BYTES = 256 * 1024;

/** What makes a stub of an API. */
export interface StubDefinition {
  /** Answers a call of the API that it stands for; undefined for any other request. */
  call(request: IncomingMessage, response: ServerResponse): Promise<void> | undefined;
  /** What `GET /stats` answers. */
  report(): unknown;
  /** `POST /reset`: forgets what was counted. */
  reset(): void;
  /** `POST /configure`: changes how calls are answered. @returns the behaviour from now on */
  configure(change: unknown): unknown;
}

/** A stub that answers its API's calls, and those that control it; not listening yet. */
export function createStub(definition: StubDefinition): Server {
  const control: Record<string, (request: IncomingMessage) => Promise<unknown>> = {
    'GET /health': async () => ({ status: 'up' }),
    'GET /stats': async () => definition.report(),
    'POST /reset': async () => {
      definition.reset();
      return definition.report();
    },
    'POST /configure': async (request) => definition.configure(JSON.parse(await readText(request))),
  };

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = definition.call(request, response);
    if (call !== undefined) return call;
    const { method = '', url = '' } = request;
    const answer = control[`${method} ${url}`];
    // Not 404, which may mean something to the API: a wrong path must not look like that.
    if (answer === undefined)
      return answerJson(response, 501, { message: `There is no ${method} ${url} here` });
    try {
      answerJson(response, 200, await answer(request));
    } catch (error) {
      answerJson(response, 400, { message: error instanceof Error ? error.message : String(error) });
    }
  }

  return createServer({ keepAliveTimeout: KEEP_ALIVE_MILLISECONDS, noDelay: true }, (request, response) => {
    route(request, response).catch((error: unknown) => {
      process.stderr.write(`${request.method} ${request.url}: ${String(error)}\n`);
      response.destroy();
    });
  });
}

/** The body of a request as text. @throws Error when it is longer than a stub takes */
export async function readText(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAXIMUM_REQUEST_BYTES) throw new Error('The request is too long');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** Answers with JSON. */
export function answerJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
