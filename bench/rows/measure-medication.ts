import type { Bench } from '../bench.ts';
import { inRounds, warmUp, type Contest } from '../contest.ts';
import { figuresOf, loopOf } from '../figures.ts';
import { peerOf } from '../peers/peer-of.ts';
import { springBatch } from '../peers/spring-batch.ts';
import type { Request, Results } from '../request.ts';
import {
  date,
  forgetMedication,
  makeMedication,
  medicationContest,
  type MedicationWay,
} from './medication.ts';

/** medicationHistory in both of its variants, against SQL alone. */
export async function measureMedication(bench: Bench, request: Request): Promise<Results> {
  await makeMedication(bench);
  try {
    const contest = medicationContest(bench);
    const asked = (['set', 'items'] as const).filter((variant) => request.keys.has(keyOf(variant)));
    for (const variant of asked) await warmUp(bench, contest, variant);
    const seen = await inRounds(bench, request.runs, onlyAsked(contest, asked));
    const { oneTransaction, fourConnections, withoutEngine } = seen;
    const peer = await peerOf(bench, request, contest, () =>
      springBatch(bench, { job: 'medication', parameters: { date }, environment: { THREADS: '4' } }),
    );
    const limits = { oneTransaction, fourConnections };
    return Object.fromEntries(
      asked.map((variant) => [
        keyOf(variant),
        {
          ...figuresOf(limits, seen[variant]),
          ...(variant === 'items' && loopOf(withoutEngine)),
          ...peer,
        },
      ]),
    );
  } finally {
    await forgetMedication(bench);
  }
}

/** The variant that a way belongs to; the others are the limits of both. */
const variantOf: Readonly<Record<string, MedicationWay>> = {
  set: 'set',
  items: 'items',
  withoutEngine: 'items',
};

const keyOf = (variant: 'set' | 'items') => (variant === 'set' ? 'medicationSet' : 'medicationItems');

function onlyAsked(contest: Contest<MedicationWay>, asked: readonly MedicationWay[]): Contest<MedicationWay> {
  const ways = Object.entries(contest.ways).filter(
    ([way]) => !(way in variantOf) || asked.some((name) => name === variantOf[way]),
  );
  return { ...contest, ways: Object.fromEntries(ways) as Contest<MedicationWay>['ways'] };
}
