import type { Hono } from 'hono';
import type { ConsoleEnv } from './environment.ts';
import type { Seal } from './guards/sealed.ts';
import type { Html } from './html.ts';
import { layout, type SectionName } from './layout.ts';
import type { Hub } from './live/hub.ts';
import { streamParts } from './live/stream.ts';
import type { Services } from './services.ts';
import { visitOf, type Place, type Visit } from './visit.ts';

/**
 * One thing to look at: what the operator room knows of it, as JSON under `/api`, and as a page. Views hold no forms that
 * change anything: those are actions, each on a page of its own.
 */
export interface View<Data> {
  /** The route of the page, such as `/runs/:id`; the data is at `/api` and the same. */
  readonly path: string;
  readonly section: SectionName;
  /** Asks for what is shown. It is JSON. */
  readonly read: (visit: Visit) => Promise<Data>;
  readonly title: (data: Data, place: Place) => string;
  /** The page, in named parts from the top down. They are the same for everybody who looks at the place. */
  readonly parts: (data: Data, place: Place) => Readonly<Record<string, Html>>;
  /** How often the parts are made anew for whoever looks on, in milliseconds. @default never */
  readonly every?: number;
}

/** What routes are made with. */
export interface Making {
  readonly services: Services;
  readonly readOnly: boolean;
  readonly hub: Hub;
  readonly seal: Seal;
}

/** Adds to the console what is shown or done at one place. */
export type Content = (app: Hono<ConsoleEnv>, making: Making) => void;

/** The page, its data and, where it changes, what follows it. */
export function view<Data>(shown: View<Data>): Content {
  return (app, making) => addView(app, shown, making);
}

function addView<Data>(app: Hono<ConsoleEnv>, shown: View<Data>, { services, readOnly, hub }: Making): void {
  app.get(shown.path, async (context) => {
    const visit = visitOf(context, services, { readOnly });
    const data = await patiently(visit, shown.read);
    return context.html(
      layout({
        title: shown.title(data, visit),
        section: shown.section,
        parts: shown.parts(data, visit),
        visit,
        live: shown.every !== undefined,
        banners: await services.banners.read(),
      }),
    );
  });
  app.get(`/api${shown.path === '/' ? '' : shown.path}`, async (context) =>
    context.json(await patiently(visitOf(context, services, { readOnly }), shown.read)),
  );
  const { every } = shown;
  if (every === undefined) return;
  app.get(`/live${shown.path === '/' ? '' : shown.path}`, (context) => {
    const visit = visitOf(context, services, { readOnly });
    const place = {
      readOnly,
      url: new URL(visit.url.pathname.slice('/live'.length) + visit.url.search, visit.url),
    };
    return streamParts(context, hub, {
      key: place.url.pathname + place.url.search,
      every,
      read: async () => shown.parts(await patiently({ ...visit, ...place }, shown.read), place),
    });
  });
}

/** How long a page waits for Temporal, in milliseconds: whoever looks is to hear soon that it is away. */
const patience = 5_000;

/** Reads what a page shows. @throws what Temporal answers, or that it has not in time */
export function patiently<Data>(visit: Visit, read: (visit: Visit) => Promise<Data>): Promise<Data> {
  return visit.session.client.withDeadline(Date.now() + patience, () => read(visit));
}
