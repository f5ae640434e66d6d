import type { Config } from '../settings/config.ts';
import { Gate, type HealthCheck } from '../page/gate.ts';
import { readHealth } from '../stores/postgres/health.ts';
import { WalAge } from '../stores/postgres/wal-age.ts';
import type { OpenResources, ResourceSettings } from './resources.ts';
import type { WorkerDefinition } from '../project/worker-definition.ts';

/**
 * What holds the pages of a worker back, as its environment says. The limits are for the database and for each resource
 * that can tell; the query is the database's alone. A limit that is not set is not looked at, nor is the same database
 * looked at twice.
 */
export function workerGate(
  { health, quietHours, databaseUrl }: Pick<Config<'databaseUrl'>, 'health' | 'quietHours' | 'databaseUrl'>,
  { resources }: WorkerDefinition,
  settings: ResourceSettings,
  { database, own }: Pick<OpenResources, 'database' | 'own'>,
): Gate {
  const written = new WalAge();
  const ofDatabase: HealthCheck = { name: 'the database', look: () => readHealth(database, health, written) };
  const limits = Object.fromEntries(Object.entries(health).filter(([name]) => name !== 'query'));
  const ofResources = Object.entries(resources).flatMap(([name, resource]): HealthCheck[] => {
    if (Object.values(settings[name] ?? {}).includes(databaseUrl)) return [];
    const look = resource.health?.(own[name]);
    return look && Object.keys(limits).length > 0 ? [{ name: resource.title, look: () => look(limits) }] : [];
  });
  return new Gate([...(Object.keys(health).length > 0 ? [ofDatabase] : []), ...ofResources], quietHours);
}
