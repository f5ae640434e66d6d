import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { z } from 'zod';
import { PartError } from './part.ts';
import type { Stack } from './stack.ts';
import type { StackState } from './state.ts';

/** The supervisor's ear. */
export interface Control {
  close(): void;
}

const requestSchema = z.discriminatedUnion('do', [
  z.object({ do: z.literal('addWorkers'), count: z.int().min(1).max(100) }),
  z.object({ do: z.literal('revive') }),
]);

const replySchema = z.union([
  z.object({ pids: z.array(z.int()) }),
  z.object({ failure: z.object({ what: z.string(), where: z.string(), todo: z.string() }) }),
]);

/** What another process may ask of a supervisor. */
export type ControlRequest = z.infer<typeof requestSchema>;

/**
 * Listens on 127.0.0.1 for requests of other processes of the same user: who can read `stack.json` knows the token.
 * A socket file would do as well, but its path may be at most about a hundred characters long.
 */
export async function startControl(stack: Stack): Promise<Control> {
  const token = randomBytes(24).toString('base64url');
  const server = createServer((request, response) => {
    answer(stack, request, token).then(
      ({ status, body }) => response.writeHead(status).end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(500).end(JSON.stringify({ failure: failureOf(error) })),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.ownership.listensAt({ url: urlOf(server), token });
  return { close: () => void server.close() };
}

/**
 * Asks the supervisor of a running stack.
 * @returns the ids of the workers that were started for it
 * @throws PartError when it does not answer, or answers that it failed
 */
export async function askSupervisor(state: StackState, request: ControlRequest): Promise<number[]> {
  const { control } = state;
  if (control === undefined) throw silent(state);
  const response = await fetch(control.url, {
    method: 'POST',
    headers: { authorization: `Bearer ${control.token}` },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(120_000),
  }).catch((error: unknown) => {
    throw silent(state, error);
  });
  const reply = replySchema.parse(await response.json());
  if ('failure' in reply) throw new PartError(reply.failure);
  return reply.pids;
}

async function answer(
  stack: Stack,
  request: IncomingMessage,
  token: string,
): Promise<{ status: number; body: unknown }> {
  if (!isSame(request.headers.authorization ?? '', `Bearer ${token}`)) return { status: 401, body: {} };
  const chunks: Buffer[] = await request.toArray();
  const asked = requestSchema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  if (asked.do === 'revive') {
    await stack.revive();
    return { status: 200, body: { pids: [] } };
  }
  const workers = await Promise.all(Array.from({ length: asked.count }, () => stack.addWorker()));
  return { status: 200, body: { pids: workers.map(({ pid }) => pid) } };
}

function isSame(given: string, wanted: string): boolean {
  return given.length === wanted.length && timingSafeEqual(Buffer.from(given), Buffer.from(wanted));
}

function failureOf(error: unknown): { what: string; where: string; todo: string } {
  if (error instanceof PartError) return { what: error.what, where: error.where, todo: error.todo };
  const what = error instanceof Error ? error.message : String(error);
  return { what, where: 'the supervisor', todo: 'Read logs/supervisor.log in the home directory.' };
}

function silent(state: StackState, cause?: unknown): PartError {
  return new PartError(
    {
      what: 'the supervisor of the stack does not answer',
      where: `process ${state.supervisor.pid}`,
      todo: 'Run `npx keystride dev stop`, then `npx keystride dev --detach`.',
    },
    { cause },
  );
}

function urlOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the control server has no port');
  return `http://127.0.0.1:${address.port}`;
}
