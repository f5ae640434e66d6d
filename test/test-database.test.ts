import pg from 'pg';
import { expect, test } from 'vitest';
import { testDatabase } from './support/database.ts';

/** An error of a connection that nobody handles fails the run of vitest by itself. */
test('a database goes when the connections of a pool that has ended have gone', async () => {
  for (let time = 0; time < 4; time++) {
    const database = await testDatabase('target');
    const pool = new pg.Pool({ connectionString: database.url, max: 8 });
    await Promise.all(Array.from({ length: 8 }, () => pool.query('SELECT pg_sleep(0.02)')));
    await pool.end();
    await database.drop();
    const gone = new pg.Client({ connectionString: database.url });
    await expect(gone.connect()).rejects.toMatchObject({ code: '3D000' });
  }
});
