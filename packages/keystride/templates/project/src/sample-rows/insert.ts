import { loadSettings } from 'keystride/command';
import { fill } from './index.ts';

/** Makes rows in the database of `DATABASE_URL`, else of the development stack that runs: `npm run sample-rows 5000`. */
const { databaseUrl } = loadSettings(process.env, ['databaseUrl']);
const rows = Number(process.argv[2] ?? 1000);
await fill({ databaseUrl, rows });
console.log(`made ${rows} rows of each table`);
