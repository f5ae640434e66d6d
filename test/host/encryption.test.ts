import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataConverterOf, EncryptionCodec } from '../../packages/keystride/src/settings/data-converter.ts';
import { parseEncryptionKeys } from '../../packages/keystride/src/settings/encryption-keys.ts';
import { loadConfig } from '../../packages/keystride/src/settings/config.ts';
import { loadedCodecServer, temporalCommand } from '../codec/support.ts';
import { keystride } from '../cli/support.ts';
import { createWorld, type World } from '../support/stack.ts';

const key = () => randomBytes(32).toString('base64');
const [older, newer] = [`2026-05=${key()}`, `2026-11=${key()}`];

function codecOf(text?: string): EncryptionCodec {
  if (text === undefined) return new EncryptionCodec();
  const keys = parseEncryptionKeys(text);
  if (typeof keys === 'string') throw new Error(keys);
  return new EncryptionCodec(keys);
}

const payloadOf = (text: string) => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(text),
});

describe('the codec', () => {
  test('gives back what it was given, and shows none of it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 8, unit: 'binary' }), async (text) => {
        const codec = codecOf(newer);
        const [sealed] = await codec.encode([payloadOf(text)]);
        expect(Buffer.from(sealed?.data ?? []).includes(Buffer.from(text))).toBe(false);
        const [opened] = await codec.decode([sealed ?? {}]);
        expect(Buffer.from(opened?.data ?? []).equals(Buffer.from(text))).toBe(true);
        expect(Buffer.from(opened?.metadata?.['encoding'] ?? []).toString()).toBe('json/plain');
      }),
    );
  });

  test('the first key encrypts, and those behind it are still read', async () => {
    const [sealed] = await codecOf(older).encode([payloadOf('before')]);
    const [opened] = await codecOf(`${newer},${older}`).decode([sealed ?? {}]);
    expect(Buffer.from(opened?.data ?? []).toString()).toBe('before');
    const [now] = await codecOf(`${newer},${older}`).encode([payloadOf('now')]);
    expect(Buffer.from(now?.metadata?.['encryption-key-id'] ?? []).toString()).toBe('2026-11');
  });

  test('what was written without keys is read as it is', async () => {
    expect(await codecOf(newer).decode([payloadOf('plain')])).toEqual([payloadOf('plain')]);
  });

  test('a key that is not there is named, and a changed payload is refused', async () => {
    const [sealed = {}] = await codecOf(older).encode([payloadOf('secret')]);
    for (const codec of [codecOf(newer), codecOf()])
      await expect(async () => codec.decode([sealed])).rejects.toThrow(
        /the key 2026-05, which this process does not have/u,
      );
    const changed = Buffer.from(sealed.data ?? []);
    changed[20] = (changed[20] ?? 0) ^ 1;
    await expect(async () => codecOf(older).decode([{ ...sealed, data: changed }])).rejects.toThrow(
      /was changed since/u,
    );
    const renamed = {
      ...sealed,
      metadata: { ...sealed.metadata, 'encryption-key-id': Buffer.from('2026-11') },
    };
    await expect(async () => codecOf(newer).decode([renamed])).rejects.toThrow(/was not encrypted with it/u);
  });

  test('a file of keys is read again when a key is asked for that it did not have', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'keystride-keys-'));
    try {
      const file = path.join(directory, 'keys');
      writeFileSync(file, `${older}\n`);
      const { encryption } = loadConfig({ KEYSTRIDE_ENCRYPTION_KEYS_FILE: file });
      const codec = new EncryptionCodec(encryption);
      const [sealed = {}] = await codecOf(newer).encode([payloadOf('later')]);
      writeFileSync(file, `${newer}\n${older}\n`);
      const [opened] = await codec.decode([sealed]);
      expect(Buffer.from(opened?.data ?? []).toString()).toBe('later');
      // From now on the new key encrypts.
      const [next] = await codec.encode([payloadOf('next')]);
      expect(Buffer.from(next?.metadata?.['encryption-key-id'] ?? []).toString()).toBe('2026-11');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test.each([
    ['', 'is not set'],
    ['word', 'not like 2026-11=KEY'],
    [`a=${Buffer.alloc(16).toString('base64')}`, 'not like 2026-11=KEY'],
    [`${newer},${newer}`, 'has the id 2026-11 twice'],
  ])('keys that are none are refused without being shown: %s', (text, problem) => {
    if (text === '')
      return expect(loadConfig({ KEYSTRIDE_ENCRYPTION_KEYS: text }).encryption).toBeUndefined();
    const load = () => loadConfig({ KEYSTRIDE_ENCRYPTION_KEYS: text });
    expect(load).toThrow(problem);
    expect(load).not.toThrow(text);
  });
});

describe('a run with encryption', () => {
  /** Stands in parameters, in the reason of a pause and in what a failure tells. */
  const canary = 'canary5e1c';
  const keys = { KEYSTRIDE_ENCRYPTION_KEYS: `${newer},${older}` };
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ ownServers: true, environment: keys });
    await world.startWorker();
  });

  afterAll(() => world?.dispose());

  /** With the codec server it reads what was encrypted, failures among it, and without it nothing. */
  async function readByTemporalsCommand(workflowId: string): Promise<void> {
    const server = await loadedCodecServer(world.environment);
    try {
      const show = ['workflow', 'show', '--output', 'json', '--workflow-id', workflowId];
      expect(await temporalCommand(world, show)).not.toContain(canary);
      const shown = await temporalCommand(world, [...show, '--codec-endpoint', server.url]);
      for (const text of [canary, 'expiredCouponId', 'there is none with this id'])
        expect(shown).toContain(text);
    } finally {
      await server.stop();
    }
  }

  test('leaves nothing readable with Temporal, and is read by whoever has the keys', async () => {
    const parameters = {
      ...{ name: canary, description: canary, amountType: 'RATE', amount: 10, expiredCouponId: 7 },
    };
    const handle = await world.start('couponExchange', parameters);
    await expect(handle.result()).rejects.toMatchObject({
      cause: { message: expect.stringContaining(canary) },
    });
    const status = await keystride(['status', handle.workflowId, '-o', 'json'], world.environment);
    expect(status.stdout).toContain(canary);
    expect(status.stdout).toContain('there is none with this id');
    await readByTemporalsCommand(handle.workflowId);
    // Written through to the file when the server has ended.
    await world.servers.temporal.stop();
    const { home } = world.servers;
    const kept = ['temporal.db', 'temporal.db-wal'].map((file) => read(path.join(home, file))).join('');
    await world.servers.temporal.restart();
    expect(kept.includes(handle.workflowId)).toBe(true);
    for (const secret of [canary, 'expiredCouponId', 'there is none with this id', 'refuseUnknownCoupon'])
      expect(kept.includes(secret), secret).toBe(false);
    const blind = new Client({
      connection: world.client.connection,
      namespace: world.namespace,
      dataConverter: dataConverterOf(undefined),
    });
    await expect(blind.workflow.getHandle(handle.workflowId).result()).rejects.toThrow(/the key 2026-11/u);
  });
});

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
