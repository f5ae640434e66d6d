import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { positionOfSource } from '../../packages/keystride/src/stores/postgres/standby.ts';
import { testDatabase } from '../support/database.ts';

test('how far a source was written is noted with what is skipped; where it may not tell, nothing is', async () => {
  const { url, drop } = await testDatabase('source');
  const role = `blind_${randomUUID().slice(0, 8)}`;
  const owner = createPool(url, 'keystride test', 1);
  const blind = new URL(url);
  blind.username = role;
  blind.password = 'reader';
  const reader = createPool(blind.href, 'keystride test', 1);
  try {
    await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD 'reader'`);
    expect(BigInt((await positionOfSource(reader)) ?? 0)).toBeGreaterThan(0n);
    // As on a service that has no such function for its users.
    await owner.query('REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC');
    expect(await positionOfSource(reader)).toBeNull();
  } finally {
    await reader.end();
    await owner.query(`DROP ROLE IF EXISTS ${role}`);
    await owner.end();
    await drop();
  }
});
