import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseEnvironment } from '../packages/keystride/src/settings/environment.ts';

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly resources: { readonly requests: object; readonly limits: { readonly memory: string } };
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec: {
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly labels: object; readonly annotations: Readonly<Record<string, string>> };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly Container[];
      };
    };
  };
}

function manifests(file: string): Manifest[] {
  const text = readFileSync(path.join(import.meta.dirname, '../ops/kubernetes', file), 'utf8');
  return parseAllDocuments(text).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Manifest;
  });
}

const [config, deployment, budget] = manifests('worker.yaml') as [Manifest, Manifest, Manifest];
const { template } = deployment.spec;
const [container] = template.spec.containers as [Container];

test('the settings of the manifests are settings of a worker, and its ports are those where it listens', () => {
  const { settings, problems } = parseEnvironment(config.data ?? {});
  expect(problems).toEqual([]);
  for (const name of Object.keys(config.data ?? {}).filter((one) => !one.startsWith('TEMPORAL_')))
    expect(settings).toHaveProperty(name);
  const portOf = (wanted: string) => container.ports.find(({ name }) => name === wanted)?.containerPort;
  expect(settings.KEYSTRIDE_HEALTH).toBe(`0.0.0.0:${portOf('health')}`);
  expect(settings.KEYSTRIDE_METRICS).toBe(`0.0.0.0:${portOf('metrics')}`);
  expect(template.metadata.annotations['prometheus.io/port']).toBe(String(portOf('metrics')));
});

test('liveness asks whether the process lives, readiness whether it works', () => {
  const pathOf = ({ httpGet }: Probe) => [httpGet.path, httpGet.port];
  expect(pathOf(container.livenessProbe)).toEqual(['/healthz', 'health']);
  expect(pathOf(container.readinessProbe)).toEqual(['/readyz', 'health']);
  expect(pathOf(container.startupProbe)).toEqual(['/readyz', 'health']);
});

test('a worker has longer to end than its pages to commit, and the budget is about the workers', () => {
  const serve = readFileSync(
    path.join(import.meta.dirname, '../packages/keystride/src/host/serve.ts'),
    'utf8',
  );
  const force = Number(/shutdownForceTime: '(\d+) seconds'/u.exec(serve)?.[1]);
  expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(force + 10);
  expect(deployment.spec.selector.matchLabels).toEqual(template.metadata.labels);
  expect(budget).toMatchObject({ kind: 'PodDisruptionBudget', spec: { selector: deployment.spec.selector } });
  expect(container.resources).toMatchObject({ requests: { memory: '512Mi' }, limits: { memory: '768Mi' } });
});

test('the ledger is migrated by the same image with the same settings', () => {
  const [migrate] = manifests('migrate.yaml');
  const [job] = migrate?.spec.template.spec.containers ?? [];
  expect(job).toMatchObject({ command: ['keystride', 'migrate'] });
  for (const what of ['image', 'envFrom'] as const)
    expect((job as unknown as Record<string, unknown>)[what]).toEqual(
      (container as unknown as Record<string, unknown>)[what],
    );
});
