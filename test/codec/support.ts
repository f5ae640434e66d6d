import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { startCodecServer } from '../../packages/keystride/src/codec/server.ts';
import { temporalBinary } from '../../packages/keystride/src/dev/temporal-binary.ts';
import { loadConfig } from '../../packages/keystride/src/settings/config.ts';
import type { World } from '../support/stack.ts';

/** A codec server in this process, on a free port unless the environment names one. */
export function loadedCodecServer(environment: NodeJS.ProcessEnv): ReturnType<typeof startCodecServer> {
  return startCodecServer(loadConfig({ KEYSTRIDE_CODEC_SERVER: '127.0.0.1:0', ...environment }));
}

/** What Temporal's own command prints, of a world, with the data of payloads as text. */
export async function temporalCommand(world: World, words: readonly string[]): Promise<string> {
  const { path } = await temporalBinary(inject('keystride').cache, () => undefined);
  const where = ['--address', world.temporalAddress, '--namespace', world.namespace];
  const { stdout } = await promisify(execFile)(path, [...words, ...where], { maxBuffer: 64 * 1024 * 1024 });
  return stdout.replaceAll(/"data": "([^"]+)"/gu, (_, data: string) =>
    Buffer.from(data, 'base64').toString(),
  );
}
