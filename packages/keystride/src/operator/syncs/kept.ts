import { followsLog } from '../../contract/sync.ts';
import { loadSettings } from '../../dev/settings.ts';
import { readResult } from '../../ledger/offset.ts';
import { readStreams } from '../../ledger/streams.ts';
import { CommandError } from '../command-error.ts';
import type { LiveProgress } from '../heartbeats.ts';
import { withLedger } from '../ledger.ts';
import { keptText, readSync, type StreamLag } from './lag.ts';

/** How long the ledger may take to answer, in milliseconds: a run is looked at, and paused, without it. */
const impatient = 3_000;

type Run = Pick<LiveProgress, 'instance' | 'parameters'>;

/**
 * Where the stream of a run stands, if it follows the log of its source: undefined for any other run, for one that has not
 * begun, and where the ledger does not answer or nobody has named it.
 */
export async function streamOfRun({ instance, parameters }: Run): Promise<StreamLag | undefined> {
  if (instance === null || !followsLog(parameters) || loadSettings().databaseUrl === undefined)
    return undefined;
  try {
    const stream = await withLedger(async (ledger) => {
      const begun = (await readResult(ledger, { instance, step: 'begin' })) as { stream?: string } | null;
      return (await readStreams(ledger)).find((one) => one.slot !== null && one.stream === begun?.stream);
    }, impatient);
    return stream && (await readSync(stream));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return undefined;
  }
}

/** What a pause of a run means for its source: how much log that keeps, and after how much more it gives it up. */
export async function keptMeanwhile(run: Run): Promise<string | undefined> {
  const stream = await streamOfRun(run);
  if (!stream) return undefined;
  const kept = stream.lag?.kept;
  return `the source keeps its log while the run is at rest: ${kept ? keptText(kept) : (stream.problem ?? 'how much cannot be told')}`;
}
