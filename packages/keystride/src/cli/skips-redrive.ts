import { sql } from 'kysely';
import type pg from 'pg';
import { redrive, redriveKey, type RedriveInput } from '../contract/redrive.ts';
import { migration } from '../stores/postgres/sql.ts';
import { type Session, withSession } from './connection.ts';
import { shellWord } from '../contract/shell.ts';
import { count } from './format.ts';
import { CommandError, printJson, printLine, progressLine } from './output.ts';
import type { SkipsOptions } from './skips.ts';
import {
  countByStatus,
  findInstance,
  firstAlive,
  refuseUnknownKeys,
  run,
  type RunningExecution,
  runningExecutions,
  type SkipStatus,
  stillRunning,
  withLedger,
} from './skips-ledger.ts';
import { announce, startRun, untilOpened } from './start.ts';
import { reportEnd } from './status.ts';
import { watchOrDetach } from './watch.ts';
import { keystride } from './called-as.ts';

/** What the ledger says before a redrive. Its own claim decides; this is to refuse without a failed run in the lists. */
interface Prospect {
  readonly instance: string;
  readonly counts: Readonly<Record<SkipStatus, number>>;
  readonly running: readonly RunningExecution[];
  /** The key that the redrive will have. */
  readonly redriveKey: string;
}

/** `keystride skips ID redrive`: runs the open skips again, as a run of its own. */
export async function redriveSkips(id: string, options: SkipsOptions): Promise<void> {
  const prospect = await withLedger((client) => look(client, id, options));
  await withSession((session) => start(session, prospect, options));
}

async function look(client: pg.Client, id: string, options: SkipsOptions): Promise<Prospect> {
  const instance = await findInstance(client, id);
  await refuseUnknownKeys(client, instance, options);
  const [earlier] = await run(
    client,
    migration
      .selectFrom('keystride.instance')
      .select(sql<string>`count(*)`.as('redrives'))
      .where('redrives', '=', instance),
  );
  return {
    instance,
    counts: await countByStatus(client, instance, options),
    running: await runningExecutions(client, instance),
    redriveKey: redriveKey(instance, Number(earlier?.redrives ?? 0) + 1),
  };
}

function nothingOpen({ instance, counts }: Prospect): CommandError {
  const settled = `${count(counts.redriven)} redriven, ${count(counts.waived)} waived`;
  return new CommandError(
    {
      what: `nothing to redrive: no skip of ${instance} that is asked for is open (${settled})`,
      todo: `See which skips there are: ${keystride} skips ${shellWord(instance)} list`,
    },
    { type: 'NothingToRedrive', details: { instance } },
  );
}

async function start(session: Session, prospect: Prospect, options: SkipsOptions): Promise<void> {
  const { instance, counts, redriveKey: workflowId } = prospect;
  const alive = await firstAlive(session.client, prospect.running);
  if (alive) throw stillRunning(alive);
  if (counts.open === 0) throw nothingOpen(prospect);
  const { fingerprint, key, step } = options;
  const input: RedriveInput = {
    instance,
    ...(step !== undefined && { step }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(key !== undefined && { keys: [...key] }),
  };
  const started = await startRun(session, {
    ...{ job: redrive, input, instance: workflowId, workflowId },
    // An instance begins with its job.
    queuedAs: instance.split(':', 1)[0] ?? instance,
  });
  const opened = await untilOpened(session, started);
  const print = options.output === 'text' ? printLine : progressLine;
  print(`redriving ${count(counts.open)} of the skips of ${instance}`);
  announce(started, print);
  if (!opened)
    progressLine(`no worker polls task queue ${started.taskQueue}; it waits for one: ${keystride} worker`);
  if (!options.watch)
    return options.output === 'json'
      ? printJson({ ...started, redrives: instance, items: counts.open })
      : undefined;
  const ended = await watchOrDetach(session.client, started.workflowId, options.output);
  if (ended) await reportEnd(ended.progress, options.output);
}
