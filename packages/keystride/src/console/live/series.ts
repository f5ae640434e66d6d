import { RateWindow } from '../../operator/figures.ts';

/** How many rows a run had done at a moment. */
export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly done: number;
}

/** Points of a run that are kept. */
const mostPoints = 480;

/** Points closer than this to the one before say nothing new, in milliseconds. */
const leastApart = 900;

/** Runs, and their partitions, that are remembered. */
const mostRuns = 200;
const mostPaces = 4_000;

/** How runs have come on, as far as somebody has looked at them. What nobody has looked at for longest is forgotten. */
export class Series {
  readonly #runs = new Map<string, Point[]>();
  readonly #paces = new Map<string, RateWindow>();

  /** @param run its run id */
  add(run: string, point: Point): void {
    const points = used(this.#runs, run, () => [], mostRuns);
    const last = points.at(-1);
    if (last === undefined || point.at - last.at >= leastApart) points.push(point);
    // Every second one goes, so that the whole time stays in view.
    if (points.length > mostPoints)
      points.splice(0, points.length, ...points.filter((_, index) => index % 2 === 0));
  }

  /** The points of a run, oldest first. */
  of(run: string): readonly Point[] {
    return this.#runs.get(run) ?? [];
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
export function ratesOf(points: readonly Point[]): { readonly at: number; readonly perSecond: number }[] {
  return points.slice(1).map((point, index) => {
    const before = points[index] ?? point;
    const span = (point.at - before.at) / 1000;
    return { at: point.at, perSecond: span > 0 ? Math.max(0, (point.done - before.done) / span) : 0 };
  });
}
