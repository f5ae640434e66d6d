import type { Command } from 'commander';
import { type Pruned, type Retention, retentionOf, usualRetention } from '../contract/retention.ts';
import { commandAuthor } from '../operator/author.ts';
import { keystride } from '../operator/called-as.ts';
import { exitCodes } from '../operator/command-error.ts';
import { withSession } from '../operator/connection.ts';
import { count } from '../operator/format.ts';
import { planPrune, prune as pruneNow, schedulePrune } from '../operator/prune.ts';
import { localTime } from '../operator/schedules/read.ts';
import { type AuthorOptions, withAuthor } from './author.ts';
import { collect, outputOption, type OutputOptions, timeSpan, wholeNumber } from './options.ts';
import { printJson, printLine, progressLine } from './output.ts';
import { scheduleAuthor } from './schedule/author.ts';

interface PruneOptions extends OutputOptions, AuthorOptions {
  olderThan?: number;
  keep: number;
  auditOlderThan?: number;
  job?: string[];
  openSkips?: true;
  dryRun?: true;
  schedule?: string;
  timezone: string;
}

const help = `
What goes: the steps, partitions, skips and dead letters of instances that have completed, with their redrives, where
they are older than --older-than and not among the --keep newest of their job; dead letters as old; entries of the
audit older than --audit-older-than. The row of an instance stays: it is refused as complete for ever.
What stays whatever its age: what runs, what has failed or was stopped and can be started again, instances with open
skips unless --open-skips, offsets of syncs. It may be interrupted at any moment; the next prune goes on.

Examples:
  $ keystride prune --dry-run
  $ keystride prune --older-than 30d --keep 20
  $ keystride prune --job tableSync --older-than 1d --keep 10
  $ keystride prune --older-than 90d --schedule "30 4 * * *" --timezone Asia/Seoul

The same without keystride:
  $ temporal workflow start --type prune --task-queue keystride --input '{"olderThanDays":30,"keep":20}'`;

/** `keystride prune`: gives up what the ledger no longer has to keep. */
export function pruneCommand(command: Command): Command {
  const { olderThanDays, keep, auditOlderThanDays } = usualRetention;
  return withAuthor(command)
    .option('--older-than <span>', `ended so long ago; otherwise ${olderThanDays}d`, timeSpan)
    .option('--keep <n>', 'instances kept of each job', wholeNumber(0), keep)
    .option('--audit-older-than <span>', `entries of the audit; otherwise ${auditOlderThanDays}d`, timeSpan)
    .option('--job <job>', 'only what belongs to this job; repeatable', collect)
    .option('--open-skips', 'instances with open skips too, which nobody can redrive or waive then')
    .option('--dry-run', 'tell what would go')
    .option('--schedule <cron>', 'at these times, by a schedule of Temporal that is called prune')
    .option('--timezone <zone>', 'of the schedule, an IANA name', 'UTC')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(prune);
}

const day = 86_400_000;

async function prune(options: PruneOptions): Promise<void> {
  const { olderThan, keep, auditOlderThan, job: jobs, openSkips } = options;
  const retention = retentionOf({
    keep,
    ...(olderThan !== undefined && { olderThanDays: olderThan / day }),
    ...(auditOlderThan !== undefined && { auditOlderThanDays: auditOlderThan / day }),
    ...(jobs && { jobs }),
    ...(openSkips && { openSkips }),
  });
  if (options.schedule !== undefined) return schedule(options.schedule, retention, options);
  if (options.dryRun) return show('would prune', await planPrune(retention), options);
  const ending = new AbortController();
  const end = () => ending.abort();
  process.once('SIGINT', end);
  const pruned = await pruneNow(retention, commandAuthor(options), { signal: ending.signal });
  process.off('SIGINT', end);
  show('pruned', pruned, options);
  if (!ending.signal.aborted) return;
  progressLine(`interrupted: what is left goes with the next ${keystride} prune`);
  process.exitCode = exitCodes.detached;
}

function show(verb: string, pruned: Pruned, { output }: OutputOptions): void {
  if (output === 'json') return printJson(pruned);
  const { instances, partitions, skips, deadLetters, audit } = pruned;
  printLine(
    `${verb} ${count(instances)} instances (${count(partitions)} partitions, ${count(skips)} skips), ` +
      `${count(deadLetters)} dead letters, ${count(audit)} entries of the audit`,
  );
}

async function schedule(cron: string, retention: Retention, options: PruneOptions): Promise<void> {
  const { timezone: timeZone, output } = options;
  const created = await withSession((session) =>
    schedulePrune(session, retention, { cron, timeZone }, scheduleAuthor(options)),
  );
  if (output === 'json') return printJson(created);
  printLine(`schedule ${created.scheduleId}`);
  for (const { at } of created.next.slice(0, 3)) printLine(`  next  ${localTime(at, timeZone)}`);
  printLine(`  see   ${keystride} schedule describe ${created.scheduleId}`);
}
