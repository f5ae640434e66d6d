import { bannersOf, type Banner } from './banners.ts';
import { html, nothing, type Html } from './html.ts';
import type { Visit } from './visit.ts';

/** The sections of the console, in the order of its head. */
export const sections = {
  runs: { name: 'Runs', href: '/' },
  jobs: { name: 'Jobs', href: '/jobs' },
  schedules: { name: 'Schedules', href: '/schedules' },
  skips: { name: 'Skips', href: '/skips' },
  syncs: { name: 'Syncs', href: '/syncs' },
  health: { name: 'Health', href: '/health' },
  audit: { name: 'Audit', href: '/audit' },
} as const;

export type SectionName = keyof typeof sections;

/** A page as it is laid out. */
export interface Page {
  readonly title: string;
  /** Undefined for a page that belongs to none. */
  readonly section?: SectionName;
  readonly parts: Readonly<Record<string, Html>>;
  readonly visit: Pick<Visit, 'who' | 'readOnly' | 'url'>;
  /** Its parts change while it is looked at. */
  readonly live: boolean;
  readonly banners: readonly Banner[];
}

/** A whole page: head, what needs a person, its parts, and when it was made. */
export function layout({ title, section, parts, visit, live, banners }: Page): Html {
  const { who, readOnly, url } = visit;
  return document(
    title,
    html`<header class="top">
        <a class="brand" href="/">keystride</a>
        <nav aria-label="Sections">
          <ul>
            ${Object.entries(sections).map(
              ([name, { name: shown, href }]) =>
                html`<li><a href="${href}" ${name === section ? currentPage : nothing}>${shown}</a></li>`,
            )}
          </ul>
        </nav>
        <p class="who">
          ${readOnly ? html`<span class="chip">read-only</span> ` : nothing}<span>${who}</span>
        </p>
      </header>
      <div class="banners" role="status">${bannersOf(banners)}</div>
      <main
        id="main"
        ${live ? html`data-live="/live${url.pathname === '/' ? '' : url.pathname}${url.search}"` : nothing}
      >
        <h1>${title}</h1>
        ${Object.entries(parts).map(([name, part]) => html`<div class="part" data-part="${name}">${part}</div>`)}
      </main>
      <footer class="bottom">
        <p>
          Last update <time data-updated datetime="${new Date().toISOString()}">${clock(new Date())}</time>
          ${live ? html`· <span data-liveness>Reload the page to see more.</span>` : nothing}
        </p>
      </footer>`,
  );
}

const currentPage = html`aria-current="page"`;

/** A page without head and foot, for whoever may not come in yet. */
export function bareLayout(title: string, body: Html): Html {
  return document(
    title,
    html`<header class="top"><span class="brand">keystride</span></header>
      <main id="main">
        <h1>${title}</h1>
        ${body}
      </main>`,
  );
}

/** A time of day that says its zone. */
function clock(at: Date): string {
  return `${at.toISOString().slice(11, 19)} UTC`;
}

function document(title: string, body: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · keystride</title>
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/assets/uplot.css" />
        <link rel="stylesheet" href="/assets/console.css" />
        <script src="/assets/uplot.js" defer></script>
        <script src="/assets/console.js" defer></script>
      </head>
      <body>
        <a class="skip-link" href="#main">Go to the content</a>
        ${body}
      </body>
    </html>`;
}
