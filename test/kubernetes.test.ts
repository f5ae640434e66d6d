import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../packages/keystride/src/settings/config.ts';

/** The manifests that `docs/deployment.md` gives: they are YAML, and set what settings know. */
const folder = path.join(import.meta.dirname, '../ops/kubernetes');

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } };
}

interface Container {
  readonly env?: readonly Variable[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly terminationGracePeriodSeconds?: number;
}

interface Manifest {
  readonly kind: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly template?: { readonly spec: PodSpec } };
}

const manifests = readdirSync(folder).flatMap((file) =>
  parseAllDocuments(readFileSync(path.join(folder, file), 'utf8')).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Manifest;
  }),
);
const pods = manifests.flatMap(({ spec }) => spec?.template?.spec ?? []);
const shared = manifests.flatMap(({ data }) => Object.entries(data ?? {}));

/** What a secret may hold: any address is one of PostgreSQL. */
const secret = (name: string): string => (name.endsWith('_URL') ? `postgres://jobs@db/${name}` : 'a-key');

/** The environment of a container, as a process in it finds it. */
const environmentOf = ({ env = [] }: Container): Record<string, string> => ({
  ...Object.fromEntries(shared),
  ...Object.fromEntries(env.map(({ name, value }) => [name, value ?? secret(name)])),
});

/** What settings make of an environment; the message where they refuse it. */
function read(environment: Record<string, string>): unknown {
  try {
    // What migrates the ledger does not talk to Temporal, and has no key for it.
    const needs = environment['TEMPORAL_API_KEY']
      ? (['temporal', 'databaseUrl'] as const)
      : ['databaseUrl' as const];
    return loadConfig(environment, needs);
  } catch (error) {
    return (error as Error).message;
  }
}

test('there are settings, a migration, workers and their budget for disruptions', () => {
  expect(manifests.map(({ kind }) => kind).toSorted()).toEqual(
    ['ConfigMap', 'Deployment', 'Job', 'PodDisruptionBudget'].toSorted(),
  );
});

test('every variable is one that settings know, with a value that they take', () => {
  const environments = pods.flatMap(({ containers }) => containers.map(environmentOf));
  const names = new Set(environments.flatMap((environment) => Object.keys(environment)));
  expect(names.size).toBeGreaterThan(8);
  for (const environment of environments) {
    expect(read(environment)).toMatchObject({ temporal: { namespace: 'jobs' } });
    // What settings do not know changes nothing.
    const idle = Object.keys(environment).filter((name) => {
      const without = { ...environment, [name]: '' };
      return JSON.stringify(read(without)) === JSON.stringify(read(environment));
    });
    expect(idle).toEqual([]);
  }
});

test('what is secret is named, and stands nowhere', () => {
  const variables = pods.flatMap(({ containers }) => containers.flatMap(({ env = [] }) => env));
  const secrets = variables.filter(({ name }) => /_URL$|_KEY$/u.test(name));
  expect(secrets.length).toBeGreaterThan(2);
  for (const { value, valueFrom } of secrets) {
    expect(value).toBeUndefined();
    expect(valueFrom?.secretKeyRef).toMatchObject({ name: expect.any(String), key: expect.any(String) });
  }
});

test('every container runs without rights, and a worker has time to drain', () => {
  for (const { containers, securityContext } of pods) {
    expect(securityContext).toMatchObject({ runAsNonRoot: true });
    for (const container of containers)
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
  }
  const drains = pods.flatMap(({ terminationGracePeriodSeconds: seconds }) => seconds ?? []);
  // What a worker takes at most is `shutdownForceTime` of host/serve.ts, 15 seconds, and the closing of connections.
  expect(Math.min(...drains)).toBeGreaterThanOrEqual(45);
});
