import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { Client } from '@temporalio/client';
import { outputOption, wholeNumber, type OutputOptions } from '../packages/keystride/src/cli/options.ts';
import { table } from '../packages/keystride/src/operator/format.ts';
import { testConsole, type TestConsole } from '../test/console/support.ts';
import { fillLedger, largeInstance } from '../test/support/large-ledger.ts';
import { type Bench, withBench } from './bench.ts';
import { inRounds, warmUp } from './contest.ts';
import { waitFor } from 'keystride/testing';
import { median } from './median.ts';
import { forgetOrders, makeOrders, ordersContest, workflowIdOf } from './rows/orders.ts';

const million = 1_000_000;
const executions = 10_000;

/** What a run of a million rows takes while nobody and while somebody looks on. */
interface Watched {
  readonly alone: number;
  readonly watched: number;
  readonly ratio: number;
  /** How often the page told something new. */
  readonly told: number;
}

/** Milliseconds to the whole answer of each page, at the median. */
type Pages = Readonly<Record<string, number>>;

await new Command('console')
  .description(
    'measure the pages of a large ledger, and what looking at a run costs it, on a stack of its own',
  )
  .option('--runs <n>', 'runs and requests of each; medians are told', wholeNumber(1, 50), 7)
  .addOption(new Option('--only <what>', 'one of the two').choices(['pages', 'watching']))
  .addOption(outputOption())
  .action(async ({ runs, only, output }: OutputOptions & { runs: number; only?: 'pages' | 'watching' }) => {
    const note = (text: string) => console.error(text);
    const found = await withBench({ note }, async (bench) => {
      Object.assign(process.env, bench.workerEnvironment);
      const shown = await testConsole(bench.workerEnvironment);
      try {
        return {
          ...(only !== 'pages' && { watched: await measureWatching(bench, shown, runs) }),
          ...(only !== 'watching' && { pages: await measurePages(bench, shown, runs) }),
        };
      } finally {
        await shown.stop();
      }
    });
    if (output === 'json') return console.log(JSON.stringify(found));
    if (found.watched) {
      const { alone, watched, ratio, told } = found.watched;
      console.log(
        `a million rows: ${alone.toFixed(2)} s; watched ${watched.toFixed(2)} s (${told} looks): ${ratio}`,
      );
    }
    const rows = Object.entries(found.pages ?? {}).map(([page, ms]) => [page, `${ms.toFixed(0)} ms`]);
    if (rows.length > 0) for (const line of table(['page', 'median'], rows)) console.log(line);
  })
  .parseAsync();

/** purchaseConfirmation over a million rows, with and without a browser on its page. */
async function measureWatching(bench: Bench, shown: TestConsole, runs: number): Promise<Watched> {
  await makeOrders(bench, million);
  try {
    const { ways, ...contest } = ordersContest(bench, million);
    await warmUp(bench, { ...contest, ways }, 'ours');
    let told = 0;
    const watched = async (round: number) => {
      const stop = watch(
        `${shown.url}/live/runs/${encodeURIComponent(workflowIdOf(million, round))}`,
        () => told++,
      );
      await ways.ours(round);
      stop();
    };
    const seen = await inRounds(bench, runs, { ...contest, ways: { alone: ways.ours, watched } });
    const [alone, looked] = [seen.alone, seen.watched].map((some) =>
      median(some.map(({ seconds }) => seconds)),
    );
    if (told === 0 || alone === undefined || looked === undefined)
      throw new Error('nobody has seen anything');
    return { alone, watched: looked, ratio: Number((looked / alone).toFixed(3)), told };
  } finally {
    await forgetOrders(bench);
  }
}

/** A browser's connection for live updates, opened again until the run is there. @returns what ends it */
function watch(url: string, heard: () => void): () => void {
  const ending = new AbortController();
  const listen = async () => {
    while (!ending.signal.aborted) {
      const answer = await fetch(url, { signal: ending.signal });
      if (!answer.ok) await delay(100);
      else for await (const piece of answer.body ?? []) if (Buffer.from(piece).includes('data:')) heard();
    }
  };
  void listen().catch(() => undefined);
  return () => ending.abort();
}

/** Every page over ten thousand executions, a million skips and five thousand partitions. */
async function measurePages(bench: Bench, shown: TestConsole, requests: number): Promise<Pages> {
  bench.note(`  filling the ledger, and starting ${executions} executions`);
  await bench.database.query('truncate keystride.instance cascade');
  await fillLedger(bench.database, { instances: executions, skips: million, partitions: 5_000 });
  await startMany(bench);
  const instance = encodeURIComponent(largeInstance);
  const found: [string, number][] = [];
  for (const page of [
    ...['/', '/?group=failed', '/?text=many-77', `/runs/${instance}`, `/runs/${instance}/partitions/work`],
    ...['/jobs', '/schedules', '/skips', `/skips/${instance}`, `/skips/${instance}?key=77`],
    ...['/dead-letters', '/syncs', '/health', '/audit'],
  ]) {
    const times: number[] = [];
    for (let request = -1; request < requests; request++) {
      const before = performance.now();
      const { status, text } = await shown.send(page);
      if (status !== 200)
        throw new Error(`${page} answers ${status}: ${/role="alert">([^]*?)<\/p>/u.exec(text)?.[1] ?? ''}`);
      // The first answer of a page fills caches, as it does for whoever works with it.
      if (request >= 0) times.push(performance.now() - before);
    }
    found.push([page.replace(instance, 'INSTANCE'), median(times)]);
    bench.note(`  ${page}  ${found.at(-1)?.[1].toFixed(0)} ms`);
  }
  return Object.fromEntries(found);
}

/** Executions that nobody works on; all but the last hundred have ended. */
async function startMany({ client }: Bench): Promise<void> {
  const { workflow } = new Client({ connection: client.connection, namespace: client.options.namespace });
  for (let from = 0; from < executions; from += 100)
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const number = from + index;
        const workflowId = number === executions - 1 ? largeInstance : `many-${number}`;
        const handle = await workflow.start('evenNumbers', {
          ...{ workflowId, taskQueue: 'nobody', args: [{ run: number }] },
        });
        if (number < executions - 100) await handle.terminate('measured');
      }),
    );
  // Temporal's lists come after its histories.
  await waitFor(
    async () => (await workflow.count("ExecutionStatus = 'Terminated'")).count >= executions - 100,
    {
      timeoutMs: 300_000,
    },
  );
}
