import { faultPoints, type FaultPoint } from '../page/fault-points.ts';
import { connectionFaults, type ConnectionFaultKind } from './database-proxy.ts';
import { seeded } from './random.ts';

/** The servers that can be restarted under a run. */
export const restarts = ['postgresRestarted', 'temporalRestarted'] as const;

/** The name of one of {@link restarts}. */
export type Restart = (typeof restarts)[number];

/** Where a fault can happen: on a chunk's way, on the way to the database, or to a server. */
export type FaultPlace = FaultPoint | ConnectionFaultKind | Restart;

/** What happened in the run without faults: a fault is put on something that will happen again. */
export interface Passes {
  readonly points: Readonly<Record<FaultPoint, number>>;
  readonly commits: number;
  readonly messages: number;
  /** The servers that are ours to restart. */
  readonly restartable: readonly Restart[];
}

/** One fault of a run. */
export interface PlannedFault {
  readonly place: FaultPlace;
  /** What a worker does at a point of a chunk's way: dies, or stands still and goes on later. */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
  /** At which pass of the point, COMMIT or message, counted over all workers: 1 is the first. */
  readonly at: number;
}

/** Half of the places apart, so that two runs in a row share none. */
const most = 4;

/** A dead or frozen worker costs a heartbeat time-out; more than two of them would make a run long. */
const mostSilent = 2;

/** Of the faults of workers. A frozen worker may have been handed more tasks, each of which has to time out: a long run. */
const shareOfFreezes = 0.3;

/** The places where faults can happen to this job: those that it passes. */
export function placesOf(passes: Passes): FaultPlace[] {
  return [
    ...faultPoints.filter((point) => passes.points[point] > 0),
    ...(passes.commits > 0 ? connectionFaults : []),
    ...passes.restartable,
  ];
}

/**
 * The faults of the run with this seed, two to four.
 *
 * The first two go round the places, so that as many runs in a row as there are places meet each of them twice; the rest,
 * and when and how, is chance that the seed decides.
 */
export function planFaults(seed: number, passes: Passes): PlannedFault[] {
  const random = seeded(seed);
  const places = placesOf(passes);
  const half = Math.ceil(places.length / 2);
  const chosen = [places[seed % places.length], places[(seed + half) % places.length]];
  const others = places.filter((place) => !isRestart(place));
  // A run that restarts a server has the machine to itself: it is to be short.
  const alone = chosen.some((place) => place !== undefined && isRestart(place));
  const extras = alone ? 0 : Math.floor(random() * (most - chosen.length + 1));
  for (let extra = 0; extra < extras; extra++) chosen.push(others[Math.floor(random() * others.length)]);
  const faults: PlannedFault[] = [];
  for (const place of chosen) {
    const silent = faults.filter(({ signal }) => signal !== undefined).length;
    const frozen = faults.some(({ signal }) => signal === 'SIGSTOP');
    // Every number is drawn whether it is used or not: a plan is not to change with what others contain.
    const [when, how] = [random(), random()];
    if (place === undefined || (isPoint(place) && silent === mostSilent)) continue;
    const at = 1 + Math.floor(when * occasionsOf(place, passes));
    if (!isPoint(place)) faults.push({ place, at });
    else faults.push({ place, at, signal: how < shareOfFreezes && !frozen ? 'SIGSTOP' : 'SIGKILL' });
  }
  return faults;
}

/** A fault in words: `frozen at beforeCommit 4`. */
export function faultText({ place, signal, at }: PlannedFault): string {
  if (isPoint(place)) return `${signal === 'SIGSTOP' ? 'frozen' : 'killed'} at ${place} ${at}`;
  return `${place} at ${place === 'replyLost' ? 'message' : 'COMMIT'} ${at}`;
}

/** Whether a fault happens inside of a worker. */
export function isPoint(place: FaultPlace): place is FaultPoint {
  return faultPoints.some((point) => point === place);
}

/** Whether a fault is a server's. */
export function isRestart(place: FaultPlace): place is Restart {
  return restarts.some((restart) => restart === place);
}

function occasionsOf(place: FaultPlace, passes: Passes): number {
  if (isPoint(place)) return passes.points[place];
  return place === 'replyLost' ? passes.messages : passes.commits;
}
