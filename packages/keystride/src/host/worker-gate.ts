import type { Resources } from '../../../../src/activities/resources.ts';
import type { Config } from '../settings/config.ts';
import { Gate, type HealthCheck } from '../page/gate.ts';
import { type HealthLimits, readHealth } from '../stores/postgres/health.ts';
import { WalAge } from '../stores/postgres/wal-age.ts';

/**
 * What holds the pages of a worker back, as its environment says. The limits are for both databases; the query is the
 * target's alone. A limit that is not set is not looked at.
 */
export function workerGate(
  { health, quietHours, databaseUrl, sourceDatabaseUrl }: Config<'databaseUrl' | 'sourceDatabaseUrl'>,
  { migration, service }: Pick<Resources, 'migration' | 'service'>,
): Gate {
  const check = (name: string, pool: typeof migration, limits: HealthLimits): HealthCheck[] => {
    const written = new WalAge();
    const look = () => readHealth(pool, limits, written);
    return Object.keys(limits).length > 0 ? [{ name, look }] : [];
  };
  const limits = Object.fromEntries(Object.entries(health).filter(([name]) => name !== 'query'));
  const source = sourceDatabaseUrl === databaseUrl ? [] : check('the service database', service, limits);
  return new Gate([...check('the migration database', migration, health), ...source], quietHours);
}
