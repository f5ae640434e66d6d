import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { answerCall, type CallContext } from './call.ts';
import type { Bodies } from './bodies.ts';
import { changeBehaviour, type Behaviour } from './settings.ts';
import { Statistics } from './statistics.ts';

/** Much longer than a client keeps an idle connection: a test should not meet that race by chance. */
const KEEP_ALIVE_MILLISECONDS = 120_000;

/** The most that `POST /configure` reads. */
const MAXIMUM_CONFIGURATION_BYTES = 256 * 1024;

const DOCUMENT_PATH = /^\/documents\/(.+)\/sentences(?:\?.*)?$/;

/** A stub of the legacy API, not listening yet. */
export function createLegacyApi(seed: string, bodies: Bodies, initial: Behaviour): Server {
  const statistics = new Statistics();
  let behaviour = initial;
  const context: CallContext = { seed, bodies, statistics, behaviour: () => behaviour };

  const control: Record<string, (request: IncomingMessage) => Promise<unknown>> = {
    'GET /health': async () => ({ status: 'up' }),
    'GET /stats': async () => statistics.report(),
    'POST /reset': async () => {
      statistics.reset();
      return statistics.report();
    },
    'POST /configure': async (request) => {
      behaviour = changeBehaviour(behaviour, JSON.parse(await readText(request)));
      return { ...behaviour, overrides: Object.keys(behaviour.overrides).length };
    },
  };

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const ticketKey = method === 'GET' ? ticketKeyOf(url) : undefined;
    if (ticketKey !== undefined) return answerCall(context, request, response, ticketKey);
    const answer = control[`${method} ${url}`];
    // Not 404, which means that a document does not exist: a wrong path must not look like that.
    if (answer === undefined)
      return answerJson(response, 501, { message: `There is no ${method} ${url} here` });
    try {
      answerJson(response, 200, await answer(request));
    } catch (error) {
      answerJson(response, 400, { message: error instanceof Error ? error.message : String(error) });
    }
  }

  const server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MILLISECONDS, noDelay: true },
    (request, response) => {
      route(request, response).catch((error: unknown) => {
        process.stderr.write(`${request.method} ${request.url}: ${String(error)}\n`);
        response.destroy();
      });
    },
  );
  return server;
}

/** The ticket key of a document's path, which is one segment, encoded; undefined for any other path. */
function ticketKeyOf(url: string): string | undefined {
  const encoded = DOCUMENT_PATH.exec(url)?.[1];
  if (encoded === undefined || encoded.includes('/')) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAXIMUM_CONFIGURATION_BYTES) throw new Error('The configuration is too long');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function answerJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
