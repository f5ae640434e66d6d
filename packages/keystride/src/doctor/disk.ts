import { statfs } from 'node:fs/promises';
import type pg from 'pg';
import { bad, type Finding, ok, warn } from '../operator/finding.ts';

const gibibyte = 1024 ** 3;

/** Free space below which somebody should look, in bytes. */
const few = { warn: 5 * gibibyte, bad: gibibyte };

/**
 * The space on the disk of a development stack's data.
 *
 * @param limits bytes below which it is told. @default 5 GiB, and 1 GiB
 */
export async function freeDisk(directory: string, limits = few): Promise<Finding> {
  const { bavail, blocks, bsize } = await statfs(directory);
  const free = bavail * bsize;
  const told = `${sizeText(free)} of ${sizeText(blocks * bsize)} are free where the development stack keeps its data (${directory})`;
  const todo = 'Make room there, or move it: KEYSTRIDE_HOME.';
  if (free < limits.bad) return bad('disk', told, todo);
  return free < limits.warn ? warn('disk', told, todo) : ok('disk', told);
}

/** Of a database elsewhere only its size is to be seen. */
export async function remoteDisk(pool: pg.Pool): Promise<Finding> {
  const { rows } = await pool.query<{ bytes: string }>(
    'SELECT pg_database_size(current_database())::text AS bytes',
  );
  const size = sizeText(Number(rows[0]?.bytes ?? 0));
  return ok(
    'disk',
    `DATABASE_URL: the database has ${size}; the free space of its server cannot be seen from here`,
  );
}

function sizeText(bytes: number): string {
  return bytes < gibibyte
    ? `${Math.round(bytes / 1024 ** 2)} MiB`
    : `${(bytes / gibibyte).toFixed(bytes < 10 * gibibyte ? 1 : 0)} GiB`;
}
