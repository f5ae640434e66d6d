import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Container, PodSpec } from 'kubernetes-types/core/v1.d.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../packages/keystride/src/settings/config.ts';
import { asProject, complaintsOf } from './support/compile.ts';

/** The manifests that `docs/deployment.md` gives: Kubernetes takes them, and they set what settings know. */
const folder = path.join(import.meta.dirname, '../ops/kubernetes');

/** The kinds that there are, and where their types stand. */
const modules = {
  ConfigMap: 'core/v1',
  Deployment: 'apps/v1',
  Job: 'batch/v1',
  PodDisruptionBudget: 'policy/v1',
} as const;

interface Manifest {
  readonly kind: keyof typeof modules;
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

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'keystride-manifests-'));
  asProject(directory, ['manifests']);
});

beforeEach(() => {
  rmSync(path.join(directory, 'manifests'), { recursive: true, force: true });
  mkdirSync(path.join(directory, 'manifests'));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The manifest as a value of its type: the compiler knows every field, and what may stand in it. */
function typed(name: string, kind: keyof typeof modules, manifest: string): void {
  writeFileSync(
    path.join(directory, 'manifests', `${name}.ts`),
    `import type { ${kind} } from 'kubernetes-types/${modules[kind]}.d.ts';\nexport const ${name}: ${kind} = ${manifest};\n`,
  );
}

test('there are settings, a migration, workers and their budget for disruptions', () => {
  expect(manifests.map(({ kind }) => kind).toSorted()).toEqual(Object.keys(modules).toSorted());
});

test('every manifest has the fields that Kubernetes knows, with values of their types', async () => {
  for (const [index, manifest] of manifests.entries())
    typed(`manifest${index}`, manifest.kind, JSON.stringify(manifest));
  expect(await complaintsOf(directory)).toEqual([]);
});

test('a field that is misspelt, in the wrong place or of another type is told', async () => {
  const deployment = JSON.stringify(manifests.find(({ kind }) => kind === 'Deployment'));
  const wrong = {
    misspelt: deployment.replace('"readinessProbe"', '"readinesProbe"'),
    misplaced: deployment.replace('"replicas":2', '"replicas":2,"containers":[]'),
    mistyped: deployment.replace('"replicas":2', '"replicas":"two"'),
    outdated: deployment.replace('"apps/v1"', '"apps/v1beta1"'),
  };
  for (const [name, manifest] of Object.entries(wrong)) typed(name, 'Deployment', manifest);
  const complaints = await complaintsOf(directory);
  for (const name of Object.keys(wrong)) expect(complaints.join('\n')).toContain(`manifests/${name}.ts`);
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
