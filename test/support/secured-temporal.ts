import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { inject } from 'vitest';
import {
  findExecutable,
  goDirectories,
  goEnvironment,
  run,
} from '../../packages/keystride/src/dev/executables.ts';
import { cachedBinary } from '../../packages/keystride/src/dev/fetch-binary.ts';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';
import { ServerProcess } from '../../packages/keystride/src/dev/server-process.ts';
import type { Authority, Certificate, Certificates } from './certificates.ts';

/** That of the development server which the pinned CLI holds. */
const version = '1.32.0';

const go = findExecutable('go', goDirectories());

/** Whether Temporal's own server can be had: its development server has no TLS, and asks nobody who he is. */
export const canBeSecured = go !== undefined;

/** A server of Temporal that ends TLS itself, asks for certificates, and for keys that somebody has signed. */
export interface SecuredTemporal {
  readonly address: string;
  /** A connection that may do everything. */
  readonly administrator: Connection;
  /** A key by which the server lets its bearer into namespaces: `default:write`. */
  key(permissions: readonly string[], signedBy?: string): string;
  /** Takes keys of these signers alone from now on. */
  trust(...signers: readonly string[]): void;
  stop(): Promise<void>;
}

/** @param settings.clients whose certificates it takes; it asks for none without */
export async function startSecuredTemporal(
  certificates: Certificates,
  settings: { readonly authority: Authority; readonly clients?: Certificate },
): Promise<SecuredTemporal> {
  const command = await serverBinary(inject('keystride').cache);
  const { authority, clients } = settings;
  const file = (name: string) => path.join(certificates.directory, `${name}-${randomUUID()}`);
  const signers = new Signers(file('keys.json'));
  signers.trust('first');
  const ports = await freePorts(services.length * 2);
  const address = `localhost:${ports[0]}`;
  const config = file('temporal.yaml');
  const keySource = `file://${signers.file}`;
  // What is JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify(configuration(authority.sign('temporal'), { ports, clients, keySource })),
  );
  const own = authority.sign('administrator');
  const administrator = Connection.lazy({
    address,
    apiKey: signers.key(['temporal-system:admin', 'default:admin']),
    tls: {
      serverRootCACertificate: readFileSync(authority.cert),
      clientCertPair: { crt: readFileSync(own.cert), key: readFileSync(own.key) },
    },
  });
  const guard = new Guard();
  const server = new ServerProcess(
    {
      ...{ name: 'secured Temporal', command },
      arguments: ['--config-file', config, 'start', ...services.flatMap((name) => ['--service', name])],
      environment: process.env,
      logFile: file('temporal.log'),
      probe: () =>
        administrator.withDeadline(Date.now() + 2_000, () =>
          administrator.workflowService.listNamespaces({}),
        ),
      ...{ readyWithinMs: 60_000, stopSignal: 'SIGTERM', stopWithinMs: 10_000 },
    },
    guard.owner,
  );
  await server.start();
  return {
    ...{ address, administrator },
    key: (permissions, signedBy) => signers.key(permissions, signedBy),
    trust: (...names) => signers.trust(...names),
    stop: async () => {
      await administrator.close();
      await server.stop();
      guard.close();
    },
  };
}

/** Built once, by Go, which asks its public database of checksums for what it fetches. */
function serverBinary(cache: string): Promise<string> {
  const what = `building Temporal's server ${version} with Go (two minutes, once)`;
  const get = async (directory: string) => {
    await run(go ?? 'go', ['install', '-trimpath', `go.temporal.io/server/cmd/server@v${version}`], {
      timeoutMs: 900_000,
      environment: { ...goEnvironment(cache), GOBIN: directory },
    });
    return path.join(directory, 'server');
  };
  return cachedBinary(path.join(cache, `temporal-server-${version}`), [{ what, get }], (text) =>
    process.stderr.write(`temporal        ${text} …\n`),
  );
}

async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  while (found.size < count) found.add(await freePort());
  return [...found];
}

/** The first is what others reach; the second is that of the server's own workflows, which need no key. */
const services = ['frontend', 'internal-frontend', 'matching', 'history', 'worker'] as const;

interface Secured {
  readonly ports: readonly number[];
  readonly clients: Certificate | undefined;
  readonly keySource: string;
}

function configuration({ cert, key }: Certificate, { ports, clients, keySource }: Secured): object {
  const sql = {
    ...{ pluginName: 'sqlite', databaseName: 'default', connectAddr: 'localhost', connectProtocol: 'tcp' },
    connectAttributes: { mode: 'memory', cache: 'private' },
    ...{ maxConns: 1, maxIdleConns: 1, maxConnLifetime: '1h' },
  };
  const rpc = (place: number) => ({
    ...{ grpcPort: ports[2 * place], membershipPort: ports[2 * place + 1], bindOnLocalHost: true },
  });
  const cluster = { enabled: true, initialFailoverVersion: 1, rpcName: 'frontend' };
  return {
    log: { stdout: true, level: 'warn' },
    persistence: {
      ...{ defaultStore: 'runs', visibilityStore: 'lists', numHistoryShards: 1 },
      datastores: { runs: { sql }, lists: { sql } },
    },
    global: {
      membership: { maxJoinDuration: '30s', broadcastAddress: '127.0.0.1' },
      tls: {
        frontend: {
          server: {
            ...{ certFile: cert, keyFile: key },
            ...(clients && { requireClientAuth: true, clientCaFiles: [clients.cert] }),
          },
        },
      },
      authorization: {
        ...{ authorizer: 'default', claimMapper: 'default' },
        jwtKeyProvider: { keySourceURIs: [keySource], refreshInterval: '1s' },
      },
    },
    services: Object.fromEntries(services.map((name, place) => [name, { rpc: rpc(place) }])),
    clusterMetadata: {
      ...{ failoverVersionIncrement: 10, masterClusterName: 'active', currentClusterName: 'active' },
      clusterInformation: { active: { ...cluster, rpcAddress: `localhost:${ports[0]}` } },
    },
    dcRedirectionPolicy: { policy: 'noop' },
  };
}

/** Who signs keys, and the file in which the server finds those whom it is to trust. */
class Signers {
  readonly file: string;
  readonly #signers = new Map<string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>();

  constructor(file: string) {
    this.file = file;
  }

  trust(...names: readonly string[]): void {
    const keys = names.map((name) => {
      const key = this.#of(name).publicKey.export({ format: 'jwk' });
      return { ...key, kid: name, alg: 'ES256', use: 'sig' };
    });
    writeFileSync(this.file, JSON.stringify({ keys }));
  }

  /** A JSON web token with the claims that Temporal's default authorizer reads. */
  key(permissions: readonly string[], signedBy = 'first'): string {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const exp = Math.floor(Date.now() / 1000) + 86_400;
    const text = `${part({ alg: 'ES256', kid: signedBy, typ: 'JWT' })}.${part({ sub: 'jobs', permissions, exp })}`;
    const { privateKey } = this.#of(signedBy);
    const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }

  #of(name: string) {
    const signer = this.#signers.get(name) ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#signers.set(name, signer);
    return signer;
  }
}
