import { type Finding, readHealth } from '../operator/health/health.ts';
import type { Banner } from './banners.ts';
import type { Services } from './services.ts';

/** What needs a person, on every page. */
export async function needsAPerson({ session }: Pick<Services, 'session'>): Promise<readonly Banner[]> {
  const { findings } = await readHealth(session);
  return findings.map(({ kind, what, todo, about }) => ({ kind, what, todo, href: hrefOf(about) }));
}

function hrefOf(about: Finding['about']): string {
  return about === 'runs' ? '/?state=held' : '/health';
}
