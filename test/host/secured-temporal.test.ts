import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespace } from '../../packages/keystride/src/testing/namespace.ts';
import { keystride, keystrideProcess } from '../cli/support.ts';
import { type Authority, Certificates } from '../support/certificates.ts';
import { canBeSecured, type SecuredTemporal, startSecuredTemporal } from '../support/secured-temporal.ts';
import { createWorld, waitFor, type World } from '../support/stack.ts';

/**
 * Temporal's own server, which ends TLS and judges keys itself: what keystride needs to be let in, and what it says where
 * it is not.
 */
if (!canBeSecured)
  console.warn("There is no Go, which builds Temporal's server: the tests of one that has TLS are skipped.");

describe.skipIf(!canBeSecured)('a Temporal server that asks for a certificate and a key', () => {
  const certificates = new Certificates();
  const keyFile = path.join(certificates.directory, 'api-key');
  let world: World;
  let authority: Authority;
  let temporal: SecuredTemporal;
  let namespace: string;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    world = await createWorld();
    authority = certificates.authority('ca');
    temporal = await startSecuredTemporal(certificates, { authority, clients: authority });
    namespace = await createNamespace(temporal.administrator);
    writeFileSync(keyFile, temporal.key([`${namespace}:write`]));
    const { cert, key } = authority.sign('jobs');
    environment = {
      ...world.environment,
      ...{ TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: namespace },
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: authority.cert,
      ...{ TEMPORAL_TLS_CLIENT_CERT_PATH: cert, TEMPORAL_TLS_CLIENT_KEY_PATH: key },
      TEMPORAL_API_KEY_FILE: keyFile,
    };
  }, 900_000);

  afterAll(async () => {
    await world?.dispose();
    await temporal?.stop();
    certificates.remove();
  });

  const evenNumbers = async (from: number) => {
    const words = ['start', 'evenNumbers', '--param', `from=${from}`, '--watch', '-o', 'json'];
    const { exitCode, stdout, stderr } = await keystride(words, environment);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain('"status":"completed"');
  };

  test('lets in whoever may write in the namespace, also by a key that takes the place of another', async () => {
    await world.startWorker({ environment });
    await evenNumbers(2);

    // For a while both are taken, three times as long as a worker may still show the one before.
    temporal.trust('first', 'second');
    writeFileSync(keyFile, temporal.key([`${namespace}:write`], 'second'));
    await waitFor(async () => (await keystride(['list'], environment)).exitCode === 0);
    await delay(30_000);
    temporal.trust('second');
    const replaced = {
      ...environment,
      TEMPORAL_API_KEY_FILE: '',
      TEMPORAL_API_KEY: temporal.key([`${namespace}:write`]),
    };
    await waitFor(async () => (await keystride(['list'], replaced)).exitCode === 1);
    await evenNumbers(4);
    const doctor = await keystride(['doctor'], environment);
    expect(doctor.stdout).toMatch(/\n0 bad, /u);
  });

  test.each([
    ['no certificate', /asks for a certificate/u],
    ['a certificate of another CA', /asks for a certificate that it knows/u],
    ['no key', /refuses (access|the API key).*TEMPORAL_API_KEY.*TEMPORAL_NAMESPACE/su],
    ['a key of nobody', /refuses the API key, or gets none/u],
    ['a key for another namespace', /refuses (access|the API key).*TEMPORAL_API_KEY.*TEMPORAL_NAMESPACE/su],
  ])('lets nobody in with %s', async (what, message) => {
    const { cert, key } = certificates.authority('other').sign('jobs');
    const without = { TEMPORAL_API_KEY_FILE: '' };
    const changes: Readonly<Record<string, NodeJS.ProcessEnv>> = {
      'no certificate': { TEMPORAL_TLS_CLIENT_CERT_PATH: '', TEMPORAL_TLS_CLIENT_KEY_PATH: '' },
      'a certificate of another CA': {
        TEMPORAL_TLS_CLIENT_CERT_PATH: cert,
        TEMPORAL_TLS_CLIENT_KEY_PATH: key,
      },
      'no key': without,
      'a key of nobody': { ...without, TEMPORAL_API_KEY: temporal.key([`${namespace}:write`], 'nobody') },
      'a key for another namespace': {
        ...without,
        TEMPORAL_API_KEY: temporal.key(['other:write'], 'second'),
      },
    };
    const given = { ...environment, ...changes[what] };
    for (const words of [['list'], ['worker']]) {
      const { exitCode, stderr } = await keystrideProcess(words, given);
      expect(exitCode, words[0]).toBe(1);
      expect(stderr).toMatch(message);
    }
  });
});
