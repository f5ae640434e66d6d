import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { NativeConnection, Worker } from '@temporalio/worker';
import type { Ledger } from '../ledger/ledger.ts';
import { safeMessage } from '../page/item-errors.ts';
import { ConfigError } from '../settings/config.ts';

/** Answers the probes of whoever runs the process: Kubernetes, a load balancer. */
export interface HealthServer {
  /** From now on the process may be ready: the function says what speaks against it, nothing when it is. */
  mayBeReady(problems: () => Promise<readonly string[]>): void;
  close(): void;
}

const starting = () => Promise.resolve(['starting']);

/**
 * Answers `GET /healthz` with 200 as long as the event loop runs, and `GET /readyz` with 200 when the process does its
 * work, else with 503 and why not.
 *
 * @param address nowhere when undefined.
 * @throws ConfigError when nobody can listen there.
 */
export async function serveHealth(address: string | undefined): Promise<HealthServer> {
  if (address === undefined) return { mayBeReady: () => undefined, close: () => undefined };
  let problems: () => Promise<readonly string[]> = starting;
  const server = createServer((request, response) => {
    const [path] = (request.url ?? '').split('?');
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, []);
    if (path === '/healthz') return answer(response, 200, []);
    if (path !== '/readyz') return answer(response, 404, []);
    void problems().then((found) => answer(response, found.length === 0 ? 200 : 503, found));
  });
  const [, host = '', port = ''] = /^(.*):(\d+)$/u.exec(address) ?? [];
  try {
    server.listen({ host: host.replace(/^\[(.*)\]$/u, '$1'), port: Number(port), exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    const problem = `cannot be listened on: ${address} (${safeMessage(error)})`;
    throw new ConfigError(
      [{ variable: 'KEYSTRIDE_HEALTH', problem }],
      'Give each worker of a machine an address of its own.',
    );
  }
  return {
    mayBeReady: (look) => void (problems = look),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(response: ServerResponse, status: number, problems: readonly string[]): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify({ status: status === 200 ? 'ok' : 'not ok', problems })}\n`);
}

/** How long an answer of a part is taken for true, in milliseconds: probes of many must not become load. */
const trueForMs = 5_000;

/** How long a part may take to answer a probe, in milliseconds. */
const patienceMs = 2_000;

/** What a worker process needs to be ready. */
export interface Serving {
  readonly workers: readonly Worker[];
  readonly connection: NativeConnection;
  readonly ledger: Ledger;
}

/** Says what keeps a process from doing its work. That it is ending is said at once, whatever else there is. */
export function problemsOf({ workers, connection, ledger }: Serving): () => Promise<readonly string[]> {
  const temporal = remembered('Temporal does not answer', () => connection.workflowService.getSystemInfo({}));
  const database = remembered('the ledger does not answer', () => ledger.check());
  return async () => {
    if (workers.some((worker) => worker.getState() !== 'RUNNING')) return ['draining'];
    const polling = workers.every((worker) => worker.getStatus().activityPollerState === 'POLLING');
    const found = await Promise.all([temporal(), database()]);
    return [...(polling ? [] : ['a task queue is not polled']), ...found.flatMap((problem) => problem ?? [])];
  };
}

/** Asks a part, at most once in five seconds. @returns what is wrong, undefined for nothing */
function remembered(problem: string, ask: () => Promise<unknown>): () => Promise<string | undefined> {
  let last: { readonly until: number; readonly found: Promise<string | undefined> } | undefined;
  return () => {
    if (last && performance.now() < last.until) return last.found;
    const inTime = Promise.race([ask().then(() => undefined), delay(patienceMs).then(() => problem)]);
    last = { until: performance.now() + trueForMs, found: inTime.catch(() => problem) };
    return last.found;
  };
}
