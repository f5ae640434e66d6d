/** What is made anew again and again for all who look at the same place. */
export interface Watched<Made> {
  /** The place. */
  readonly key: string;
  /** Milliseconds from the end of one making to the next. */
  readonly every: number;
  readonly read: () => Promise<Made>;
}

/** How a look at a watched place went. */
export type Look<Made> = { readonly made: Made } | { readonly failed: unknown };

type Listener<Made> = (look: Look<Made>) => void;

interface Source<Made> {
  readonly listeners: Set<Listener<Made>>;
  timer: NodeJS.Timeout | undefined;
  last: Look<Made> | undefined;
}

/**
 * Looks at each watched place once for all who look on, however many they are, and at none that nobody looks at. A
 * hundred browsers on one run cost Temporal and the ledger as much as one.
 */
export class Hub<Made = unknown> {
  readonly #sources = new Map<string, Source<Made>>();

  /** How many places are looked at. */
  get size(): number {
    return this.#sources.size;
  }

  /** Tells every look from now on, and at once the last one if there is one. @returns what ends it */
  watch(watched: Watched<Made>, listener: Listener<Made>): () => void {
    const known = this.#sources.get(watched.key);
    const source = known ?? { listeners: new Set(), timer: undefined, last: undefined };
    source.listeners.add(listener);
    if (known) {
      if (known.last) listener(known.last);
    } else {
      this.#sources.set(watched.key, source);
      void this.#look(watched, source);
    }
    return () => {
      source.listeners.delete(listener);
      if (source.listeners.size > 0 || this.#sources.get(watched.key) !== source) return;
      clearTimeout(source.timer);
      this.#sources.delete(watched.key);
    };
  }

  async #look(watched: Watched<Made>, source: Source<Made>): Promise<void> {
    source.last = await watched.read().then(
      (made) => ({ made }),
      (failed: unknown) => ({ failed }),
    );
    for (const listener of source.listeners) listener(source.last);
    // Whoever looked on may have gone meanwhile, and another may have begun anew.
    if (source.listeners.size === 0 || this.#sources.get(watched.key) !== source) return;
    source.timer = setTimeout(() => void this.#look(watched, source), watched.every);
    source.timer.unref();
  }
}
