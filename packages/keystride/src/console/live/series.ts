/** How many rows a run had done at a moment. */
export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly done: number;
}

/** Points of a run that are kept, and runs. */
const mostPoints = 720;
const mostRuns = 200;

/** Points closer than this to the one before say nothing new, in milliseconds. */
const leastApart = 900;

/** How runs have come on, as far as somebody has looked at them. When it is full, the run goes that nobody has seen for longest. */
export class Series {
  readonly #runs = new Map<string, Point[]>();

  /** @param run its run id */
  add(run: string, point: Point): void {
    const points = this.#runs.get(run) ?? [];
    this.#runs.delete(run);
    this.#runs.set(run, points);
    const last = points.at(-1);
    if (last === undefined || point.at - last.at >= leastApart) points.push(point);
    // Every second one goes, so that the whole time stays in view.
    if (points.length > mostPoints)
      points.splice(0, points.length, ...points.filter((_, index) => index % 2 === 0));
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > mostRuns && oldest !== undefined) this.#runs.delete(oldest);
  }

  /** The points of a run, oldest first. */
  of(run: string): readonly Point[] {
    return this.#runs.get(run) ?? [];
  }
}

/** Rows a second between each two points. A count that has gone back (live figures that did not commit) is none. */
export function ratesOf(points: readonly Point[]): { readonly at: number; readonly perSecond: number }[] {
  return points.slice(1).map((point, index) => {
    const before = points[index] ?? point;
    const span = (point.at - before.at) / 1000;
    return { at: point.at, perSecond: span > 0 ? Math.max(0, (point.done - before.done) / span) : 0 };
  });
}
