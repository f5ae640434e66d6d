import { type Command, InvalidArgumentError, Option } from 'commander';
import { type AuditAction, auditActions } from '../contract/audit.ts';
import { shellWord } from '../contract/shell.ts';
import { findOriginalKey } from '../ledger/executions.ts';
import type { Asked } from '../ledger/ledger.ts';
import { type EnteredChange, readAudit } from '../ledger/audit.ts';
import { keystride } from '../operator/called-as.ts';
import { withSession } from '../operator/connection.ts';
import { reasonOf } from '../operator/explain.ts';
import { factText } from '../operator/fact-text.ts';
import { plain, time } from '../operator/format.ts';
import { withLedger } from '../operator/ledger.ts';
import { noticeChanges } from '../operator/notice.ts';
import { outputOption, timeSpan, type OutputOptions, wholeNumber } from './options.ts';
import { printJson, printLine, progressLine } from './output.ts';

interface AuditOptions extends OutputOptions {
  since?: string;
  who?: string;
  what?: AuditAction;
  limit: number;
  after?: string;
}

const help = `
Every control and tuning of a run, every start, redrive, waiver and repair, every rewind of a sync and change of a
schedule, from this command, from the console, and from Temporal's own command or UI.

Examples:
  $ keystride audit
  $ keystride audit documentMigration:run=2
  $ keystride audit --since 7d --who anna
  $ keystride audit --what 'skips waive' --since 2025-10-01 -o json`;

/** `keystride audit`: who did what, and why, newest first. */
export function auditCommand(command: Command): Command {
  return command
    .option('--since <time>', 'only since then: an ISO time, or a span such as 12h or 7d', moment)
    .option('--who <operator>', "only this operator's")
    .addOption(new Option('--what <action>', 'only this').choices(auditActions))
    .option('--limit <n>', 'at most so many', wholeNumber(1, 10_000), 50)
    .option('--after <key>', 'go on after this entry, as -o json names it')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(audit);
}

/** An ISO time, from one or from a span before now. */
function moment(text: string): string {
  const at = /^\d{4}-\d\d-\d\d/u.test(text) ? Date.parse(text) : Date.now() - timeSpan(text);
  if (!Number.isNaN(at)) return new Date(at).toISOString();
  throw new InvalidArgumentError('A time is wanted, such as 2025-10-01T02:00:00Z, or a span such as 7d.');
}

async function audit(id: string | undefined, options: AuditOptions): Promise<void> {
  const { since, who, what, limit, after, output } = options;
  // What is older than an entry shows nothing new.
  if (after === undefined) await notice();
  const entries = await withLedger(async (ledger) => {
    const ids = id === undefined ? undefined : await namesOf(ledger, id);
    return readAudit(ledger, { ids, operator: who, action: what, since }, { limit, after });
  });
  if (output === 'json') return printJson(entries);
  if (entries.length === 0) return printLine('nothing is entered of that');
  for (const entry of entries) show(entry);
  const last = entries.at(-1);
  if (entries.length === limit && last) {
    const about = id === undefined ? '' : ` ${shellWord(id)}`;
    printLine(`  older  ${keystride} audit --after ${last.key}${about}`);
  }
}

/** Enters what was done by Temporal's own means. The audit is read all the same where Temporal is away. */
async function notice(): Promise<void> {
  try {
    await withSession(noticeChanges);
  } catch (error) {
    progressLine(`what was done in Temporal itself is not looked for: ${reasonOf(error)}`);
  }
}

/** What a run was called, and the instance that it ran: a waiver and a repair are about that one. */
async function namesOf(ledger: Asked, id: string): Promise<readonly string[]> {
  const instance = await findOriginalKey(ledger, id);
  return instance === undefined || instance === id ? [id] : [id, instance];
}

function show(entry: EnteredChange): void {
  const { at, operator, from, action, reason } = entry;
  const about = entry.subject ?? entry.instance ?? entry.workflowId ?? entry.job ?? '';
  const why = reason === null ? '' : `: ${plain(reason)}`;
  printLine(`${time(at)}  ${plain(operator)} (${from})  ${action}  ${plain(about)}${why}`);
  const change = [factsTold(entry.before), factsTold(entry.after)];
  if (change[0] !== change[1]) printLine(`    ${change.map((facts) => facts || '-').join(' → ')}`);
}

function factsTold(facts: Readonly<Record<string, unknown>>): string {
  return Object.entries(facts)
    .map(([name, value]) => `${plain(name)} ${plain(factText(value))}`)
    .join(', ');
}
