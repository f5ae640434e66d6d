import { addPoint, type CoursePoint } from '../../contract/progress.ts';
import { RateWindow } from '../../operator/figures.ts';

/** The points of a run that are kept: closer ones say nothing new. */
const bounds = { apart: 900, most: 480 };

/** Runs, and their partitions, that are remembered. */
const mostRuns = 200;
const mostPaces = 4_000;

/** How runs have come on, as far as somebody has looked at them. What nobody has looked at for longest is forgotten. */
export class Series {
  readonly #runs = new Map<string, readonly CoursePoint[]>();
  readonly #paces = new Map<string, RateWindow>();

  /** @param run its run id */
  add(run: string, point: CoursePoint): void {
    const points = used(this.#runs, run, () => [], mostRuns);
    this.#runs.set(run, addPoint(points, point, bounds));
  }

  /** The points of a run, oldest first: those that it has told of the time before somebody looked, then what was seen. */
  of(run: string, told: readonly CoursePoint[] = []): readonly CoursePoint[] {
    const seen = this.#runs.get(run) ?? [];
    const [first] = seen;
    return first === undefined ? told : [...told.filter(({ at }) => at < first.at), ...seen];
  }

  /** The pace of something that has come so far now: a run, a partition. */
  pace(key: string, done: number): RateWindow {
    const pace = used(this.#paces, key, () => new RateWindow(), mostPaces);
    pace.add({ at: performance.now(), done });
    return pace;
  }
}

/** The entry of a key, which is the last one then to be forgotten. */
function used<Value>(map: Map<string, Value>, key: string, make: () => Value, most: number): Value {
  const value = map.get(key) ?? make();
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
  return value;
}

/** Rows a second between each two points. A count that has gone back (live figures that did not commit) is none. */
export function ratesOf(
  points: readonly CoursePoint[],
): { readonly at: number; readonly perSecond: number }[] {
  return points.slice(1).map((point, index) => {
    const before = points[index] ?? point;
    const span = (point.at - before.at) / 1000;
    return { at: point.at, perSecond: span > 0 ? Math.max(0, (point.done - before.done) / span) : 0 };
  });
}
