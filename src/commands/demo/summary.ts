import pc from 'picocolors';
import { colouredStatus, count, plain, printLine, shellWord } from 'keystride/command';
import type { MigrationRequest, MigrationResult } from './migration.ts';
import type { DemoConfig } from './stack.ts';

/** The one line of JSON that a demo ends with. */
export function summaryJson(request: MigrationRequest, result: MigrationResult, config: DemoConfig) {
  const { outcome, calls } = result;
  return {
    documents: request.documents,
    migrated: outcome.migrated,
    expected: expectedOf(result),
    seconds: result.seconds,
    apiLimitSeconds: result.apiLimitSeconds,
    inFlight: request.inFlight,
    verified: result.verified,
    workflowId: result.workflowId,
    status: result.progress.status,
    reason: result.progress.reason,
    expectedByCode: Object.fromEntries(outcome.expected.map(({ code, count: items }) => [code, items])),
    inGridFs: outcome.inGridFs,
    ratio: ratioOf(result),
    calls: calls.calls,
    peakInFlight: calls.peakInFlight,
    keysCalledMoreThanOnce: calls.keysCalledMoreThanOnce,
    ...(config.temporalUiUrl !== undefined && { temporalUiUrl: config.temporalUiUrl }),
    ...(config.consoleUrl !== undefined && { consoleUrl: config.consoleUrl }),
  };
}

/** The same for people. */
export function showSummary(request: MigrationRequest, result: MigrationResult, config: DemoConfig): void {
  const { progress, outcome, calls, seconds, apiLimitSeconds, verified } = result;
  const ratio = ratioOf(result);
  printLine();
  printLine(`${pc.bold(progress.instance ?? result.workflowId)}  ${colouredStatus(progress.status)}`);
  if (progress.reason) printLine(`  ${plain(progress.reason, 2000)}`);
  line('documents', count(request.documents));
  line(
    'migrated',
    count(outcome.migrated),
    outcome.inGridFs > 0 ? `${count(outcome.inGridFs)} of them in GridFS` : '',
  );
  line('expected', count(expectedOf(result)), causesOf(result));
  line('seconds', seconds?.toFixed(2) ?? '-', 'from the first call of the API to the last commit');
  line(
    'API limit',
    apiLimitSeconds.toFixed(2),
    `${count(request.documents)} documents ÷ ${count(request.inFlight)} in flight × ${request.behaviour.latency / 1000} s`,
  );
  line('ratio', ratio?.toFixed(2) ?? '-');
  line('API calls', count(calls.calls), callsOf(result));
  line('verified', verified ? pc.green('yes') : pc.red('no'));
  if (config.temporalUiUrl !== undefined) line('Temporal UI', config.temporalUiUrl);
  if (config.consoleUrl !== undefined) line('console', config.consoleUrl);
}

/** What can be done next, while the stack stays up. */
export function showNext(workflowId: string): void {
  const id = shellWord(workflowId);
  printLine();
  for (const next of [`status ${id}`, `skips ${id} list`, `verify ${id}`, 'dev status', 'dev stop'])
    printLine(`  next  keystride ${next}`);
}

function line(name: string, value: string, note = ''): void {
  printLine(`  ${name.padEnd(12)} ${value}${note === '' ? '' : `  ${pc.dim(note)}`}`);
}

function expectedOf({ outcome }: MigrationResult): number {
  return outcome.expected.reduce((sum, cause) => sum + cause.count, 0);
}

function ratioOf({ seconds, apiLimitSeconds }: MigrationResult): number | null {
  return seconds === null || apiLimitSeconds === 0 ? null : Number((seconds / apiLimitSeconds).toFixed(3));
}

function causesOf({ outcome }: MigrationResult): string {
  return outcome.expected.map((cause) => `${nameOf(cause.code)}: ${count(cause.count)}`).join(' · ');
}

/** As the table of expected failures has them: 404 and 400 are codes of their own, domain rules come after. */
function nameOf(code: number): string {
  if (code === 1) return 'not found (404)';
  return code === 2 ? 'refused (400)' : `domain rule, code ${code}`;
}

function callsOf({ calls }: MigrationResult): string {
  const repeated = calls.keysCalledMoreThanOnce;
  return `at most ${count(calls.peakInFlight)} in flight, ${repeated === 0 ? 'every key once' : `${count(repeated)} keys more than once`}`;
}
