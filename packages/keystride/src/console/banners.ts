import { html, type Html } from './html.ts';

/** Something that needs a person, wherever they look. */
export interface Banner {
  /** `problem`: work stands still. `notice`: it will, or somebody waits. */
  readonly kind: 'problem' | 'notice';
  /** What is so. */
  readonly what: string;
  /** What to do: the next command or a page's name. */
  readonly todo: string;
  /** The page that shows more. */
  readonly href?: string;
}

/**
 * How long an answer is good for, how long it is shown while a new one is looked for, and how long a page waits where
 * there is none, in milliseconds.
 */
const goodFor = 5_000;
const shownFor = 30_000;
const patience = 1_500;

/** Looks what needs a person, at most once in a while for all pages, and holds up none of them for long. */
export class Banners {
  readonly #look: () => Promise<readonly Banner[]>;
  #known: readonly Banner[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(look: () => Promise<readonly Banner[]>) {
    this.#look = look;
  }

  /** What is known; what it was a moment ago where looking takes long. */
  async read(): Promise<readonly Banner[]> {
    const age = performance.now() - this.#lookedAt;
    if (age > goodFor) this.#looking ??= this.#refresh();
    if (age > shownFor)
      await Promise.race([this.#looking, new Promise((resolve) => setTimeout(resolve, patience).unref())]);
    return this.#known;
  }

  /** Somebody has done something: the next page is to know what came of it. */
  expire(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  async #refresh(): Promise<void> {
    try {
      this.#known = await this.#look();
    } catch {
      // Whoever looks tells a failure as a banner; a defect of looking must not take the pages away.
    } finally {
      this.#lookedAt = performance.now();
      this.#looking = undefined;
    }
  }
}

/** The banners of a page. */
export function bannersOf(banners: readonly Banner[]): Html {
  return html`${banners.map(
    ({ kind, what, todo, href }) =>
      html`<p class="notice ${kind}">
        <strong>${kind === 'problem' ? 'Problem' : 'Notice'}:</strong> ${what}.
        <span class="todo">${todo}</span>
        ${href === undefined ? '' : html`<a href="${href}">Show</a>`}
      </p>`,
  )}`;
}
