import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from '../../packages/keystride/src/dev/ports.ts';

test('the preferred port is taken when it is free, and another when it is not', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  expect(await freePort(port)).not.toBe(port);
  holder.close();
  await once(holder, 'close');
  expect(await freePort(port)).toBe(port);
});

test('a port of its own lies below those of outgoing connections', async () => {
  expect(await freePort()).toBeLessThan(32_000);
});
