import { MongoClient, type Db } from 'mongodb';
import { prepareData } from '../../src/commands/demo/data.ts';
import { extractsOf, filesOf } from '../../src/activities/document-migration/store.ts';
import { Stub } from '../../src/commands/demo/stub.ts';
import { runJob, type Bench } from '../bench.ts';
import { observed } from '../contest.ts';
import { figuresOf, type Observation } from '../figures.ts';
import type { Request, Results } from '../request.ts';
import { partsOf } from './migration.ts';
import { runVerification } from './verify.ts';

const documents = 1000;

/** What 1,000 documents that have been migrated take to be verified, against all that the store has of them, read. */
export async function measureVerifyDocuments(bench: Bench, { runs }: Request): Promise<Results> {
  await migrate(bench);
  const client = await MongoClient.connect(bench.config.mongodbUrl);
  try {
    const mongo = client.db();
    const ways = {
      reading: () => readAll(mongo),
      ours: (round: number) => verifyDocuments(bench, round),
    };
    await ways.ours(0);
    const seen: Record<keyof typeof ways, Observation[]> = { reading: [], ours: [] };
    for (let round = 1; round <= runs; round++)
      for (const name of Object.keys(ways) as (keyof typeof ways)[]) {
        const observation = await observed(bench, () => ways[name](round));
        bench.note(`  round ${round}  ${name.padEnd(24)} ${observation.seconds.toFixed(3)} s`);
        seen[name].push(observation);
      }
    const { ours, ...limits } = seen;
    return { verifyDocuments: figuresOf(limits, ours) };
  } finally {
    await client.close();
  }
}

async function migrate(bench: Bench): Promise<void> {
  await prepareData(partsOf(bench), { count: documents });
  await new Stub(bench.config.legacyApiUrl).configure({ latency: 0 });
  await runJob(bench, 'targetSync', { run: 1 }, 'targetSync before a verification');
  await runJob(bench, 'documentMigration', { run: 1 }, 'documentMigration before a verification');
}

/** Every document and its file. @throws Error when one is not there */
async function readAll(mongo: Db): Promise<void> {
  let found = 0;
  for await (const { fileId } of extractsOf(mongo).find()) {
    if (fileId !== undefined) await filesOf(mongo).read(fileId);
    found += 1;
  }
  if (found !== documents) throw new Error(`the store has ${found} of ${documents} documents`);
}

async function verifyDocuments(bench: Bench, round: number): Promise<void> {
  await runVerification(bench, { job: 'documentMigration', parameters: { run: 1 } }, documents, round);
}
