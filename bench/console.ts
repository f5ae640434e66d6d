import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { Client } from '@temporalio/client';
import { outputOption, wholeNumber, type OutputOptions } from '../packages/keystride/src/cli/options.ts';
import { table } from '../packages/keystride/src/operator/format.ts';
import { type CommandResult, keystride, keystrideProcess } from '../test/cli/support.ts';
import { testConsole, type TestConsole } from '../test/console/support.ts';
import { fillLedger, largeInstance } from '../test/support/large-ledger.ts';
import { type Bench, withBench } from './bench.ts';
import { inRounds, warmUp } from './contest.ts';
import type { CpuSeconds } from './figures.ts';
import { waitFor } from 'keystride/testing';
import { median } from './median.ts';
import { cpuSecondsOf } from './processes.ts';
import { forgetOrders, makeOrders, ordersContest, workflowIdOf } from './rows/orders.ts';

const million = 1_000_000;
const executions = 10_000;

/** What a run of a million rows takes while nobody and while somebody looks on. */
interface Watched {
  readonly alone: number;
  readonly watched: number;
  readonly ratio: number;
  /** The same in processor time of worker, database and Temporal: what other work beside it does not change. */
  readonly processor: { readonly alone: number; readonly watched: number };
  /** How often the page told something new. */
  readonly told: number;
}

/** Milliseconds of a page or a command: to its whole answer, at the median, and of the processors of all parts, at the mean. */
interface PageCost {
  readonly median: number;
  readonly processor: number;
}

type Pages = Readonly<Record<string, PageCost>>;

await new Command('console')
  .description(
    'measure the pages and commands of a large ledger, and what looking at a run costs it, on a stack of its own',
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
      const { alone, watched, ratio, told, processor } = found.watched;
      console.log(
        `a million rows: ${alone.toFixed(2)} s; watched ${watched.toFixed(2)} s (${told} looks): ${ratio}; ` +
          `processor ${processor.alone.toFixed(2)} s and ${processor.watched.toFixed(2)} s`,
      );
    }
    const rows = Object.entries(found.pages ?? {}).map(([page, cost]) => [
      page,
      `${cost.median.toFixed(0)} ms`,
      `${cost.processor.toFixed(0)} ms`,
    ]);
    if (rows.length > 0)
      for (const line of table(['page or command', 'median', 'processor'], rows)) console.log(line);
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
    if (told === 0) throw new Error('nobody has seen anything');
    const [alone, looked] = [seen.alone, seen.watched].map((some) => ({
      seconds: median(some.map(({ seconds }) => seconds)),
      processor: median(some.map(({ cpuSeconds }) => sumOf(cpuSeconds))),
    })) as [{ seconds: number; processor: number }, { seconds: number; processor: number }];
    return {
      ...{ alone: alone.seconds, watched: looked.seconds, told },
      ratio: Number((looked.seconds / alone.seconds).toFixed(3)),
      processor: { alone: alone.processor, watched: looked.processor },
    };
  } finally {
    await forgetOrders(bench);
  }
}

function sumOf(cpu: CpuSeconds | null): number {
  return cpu === null ? Number.NaN : cpu.worker + cpu.database + cpu.server;
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

/** Every page and command over ten thousand executions, a million skips and five thousand partitions. */
async function measurePages(bench: Bench, shown: TestConsole, requests: number): Promise<Pages> {
  bench.note(`  filling the ledger, and starting ${executions} executions`);
  await bench.database.query('truncate keystride.instance cascade');
  await fillLedger(bench.database, { instances: executions, skips: million, partitions: 5_000 });
  await startMany(bench);
  const found: Record<string, PageCost> = {};
  const measure = async (name: string, ask: () => Promise<void>) => {
    const cost = await costOf(bench, requests, ask);
    found[name] = cost;
    bench.note(`  ${name}  ${cost.median.toFixed(0)} ms`);
  };
  for (const page of pagesOf(encodeURIComponent(largeInstance)))
    await measure(page.replace(encodeURIComponent(largeInstance), 'INSTANCE'), async () => {
      const { status, text } = await shown.send(page);
      if (status !== 200)
        throw new Error(`${page} answers ${status}: ${/role="alert">([^]*?)<\/p>/u.exec(text)?.[1] ?? ''}`);
    });
  // In this process, as the console is: what a process needs to start is told by the last one.
  for (const words of commandsOf(largeInstance))
    await measure(`keystride ${words.join(' ')}`.replace(largeInstance, 'INSTANCE'), async () =>
      succeeded(await keystride(words, bench.workerEnvironment)),
    );
  await measure('a process: keystride --version', async () =>
    succeeded(await keystrideProcess(['--version'], bench.workerEnvironment)),
  );
  return found;
}

function pagesOf(instance: string): readonly string[] {
  return [
    ...['/', '/?state=failed', '/?text=many-77', `/runs/${instance}`, `/runs/${instance}/partitions/work`],
    ...['/jobs', '/schedules', '/skips', `/skips/${instance}`, `/skips/${instance}?key=77`],
    ...['/dead-letters', '/syncs', '/health', '/audit'],
  ];
}

function commandsOf(instance: string): readonly (readonly string[])[] {
  return [
    ...[['list'], ['list', '--status', 'failed'], ['status', instance], ['status', instance, '--partitions']],
    ...[
      ['skips', instance],
      ['skips', instance, 'list'],
      ['skips', instance, 'list', '--fingerprint', 'ODD: the API has said so'],
    ],
    ...[['audit'], ['jobs'], ['schedule', 'list'], ['sync', 'list'], ['prune', '--dry-run']],
  ];
}

/** A run that has failed, as the large one has, is told by exit code 1. */
function succeeded({ exitCode, stderr }: CommandResult): void {
  if (stderr !== '' || exitCode === null || exitCode > 1) throw new Error(`exit code ${exitCode}: ${stderr}`);
}

/** Asks so often, and once before: the first answer fills caches, as it does for whoever works with it. */
async function costOf(bench: Bench, requests: number, ask: () => Promise<void>): Promise<PageCost> {
  await ask();
  const times: number[] = [];
  const processor = processorMs(bench);
  for (let request = 0; request < requests; request++) {
    const before = performance.now();
    await ask();
    times.push(performance.now() - before);
  }
  return { median: median(times), processor: (processorMs(bench) - processor) / requests };
}

/** What the console, which is this process, the database and Temporal have had of the processors, in milliseconds. */
function processorMs({ pids: { database, server } }: Bench): number {
  const { user, system } = process.cpuUsage();
  const others = [database, server].reduce((sum, pid) => sum + (cpuSecondsOf(pid) ?? Number.NaN), 0);
  return (user + system) / 1000 + others * 1000;
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
