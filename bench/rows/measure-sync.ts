import type { Bench } from '../bench.ts';
import { inRounds, warmUp } from '../contest.ts';
import { figuresOf, type Figures } from '../figures.ts';
import { kafkaConnect } from '../peers/kafka-connect.ts';
import { peerOf } from '../peers/peer-of.ts';
import type { Request, Results } from '../request.ts';
import {
  columnsWithoutTimes,
  forgetDocuments,
  makeDocuments,
  refuseOtherTarget,
  syncContest,
} from './sync.ts';

/** The figures of targetSync, with those of the job for any table beside them. */
export interface SyncFigures extends Figures {
  readonly tableSync: Figures;
}

/** targetSync, and tableSync over the same rows, against `COPY`. */
export async function measureSync(bench: Bench, request: Request): Promise<Results> {
  await makeDocuments(bench);
  try {
    const contest = syncContest(bench);
    await warmUp(bench, contest, 'targetSync');
    const { copy, targetSync, tableSync } = await inRounds(bench, request.runs, contest);
    const withoutTimes = { ...contest, check: () => refuseOtherTarget(bench, columnsWithoutTimes) };
    const peer = await peerOf(bench, request, withoutTimes, () => kafkaConnect(bench));
    const ofTable = figuresOf({ copy }, tableSync);
    const sync: SyncFigures = { ...figuresOf({ copy }, targetSync), ...peer, tableSync: ofTable };
    return { sync };
  } finally {
    await forgetDocuments(bench);
  }
}
