import { createLegacyApi } from '../../src/stubs/legacy-api/application.ts';
import { generatedBodies, type Bodies } from '../../src/stubs/legacy-api/bodies.ts';
import { changeBehaviour, defaultBehaviour } from '../../src/stubs/legacy-api/settings.ts';
import type { StatisticsReport } from '../../src/stubs/legacy-api/statistics.ts';
import { listening, type Listening } from '../support/listening.ts';

export const SEED = 'test';
export const SIZES = [{ bytes: 2048, weight: 1 }];

/** A stub that listens, and the calls that tests make. */
export interface RunningStub extends Listening {
  get: (ticketKey: string, init?: RequestInit) => Promise<Response>;
  stats: () => Promise<StatisticsReport>;
  post: (path: string, body?: unknown) => Promise<Response>;
}

export async function startStub(
  behaviour: Record<string, unknown> = {},
  bodies: Bodies = generatedBodies(SEED, SIZES),
): Promise<RunningStub> {
  const server = createLegacyApi(SEED, bodies, changeBehaviour(defaultBehaviour, behaviour));
  const { url, stop } = await listening(server);
  return {
    url,
    get: (ticketKey, init) => fetch(documentUrl(url, ticketKey), { redirect: 'manual', ...init }),
    stats: async () => (await fetch(`${url}/stats`)).json() as Promise<StatisticsReport>,
    post: (path, body) => fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body ?? {}) }),
    stop,
  };
}

export function documentUrl(url: string, ticketKey: string): string {
  return `${url}/documents/${encodeURIComponent(ticketKey)}/sentences`;
}

export function ticketKeys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `T-${String(index + 1).padStart(7, '0')}`);
}
