import { readHealth } from '../operator/health/health.ts';
import type { Banner } from './banners.ts';
import type { Services } from './services.ts';

/** What needs a person, on every page. */
export async function needsAPerson({ session }: Pick<Services, 'session'>): Promise<readonly Banner[]> {
  const { findings } = await readHealth(session);
  return findings.map(({ check, mark, what, todo = '' }) => ({
    kind: mark === 'bad' ? 'problem' : 'notice',
    ...{ what, todo, href: check === 'runs' ? '/?state=held' : '/health' },
  }));
}
