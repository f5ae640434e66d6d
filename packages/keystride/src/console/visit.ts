import type { Context } from 'hono';
import type { ConsoleEnv } from './environment.ts';
import { Refusal } from './guards/refusal.ts';
import type { Services } from './services.ts';

/** Where a page is, for whoever builds it: the same for all who look at it. */
export interface Place {
  /** With its query. */
  readonly url: URL;
  /** Nothing can be changed here. */
  readonly readOnly: boolean;
}

/** One request, as pages and actions see it. */
export interface Visit extends Place, Services {
  /** Who asks, as the audit names them. */
  readonly who: string;
  /**
   * A part of the path, by its name in the route.
   * @throws Refusal where it is empty
   */
  param(name: string): string;
  /** A value of the query; undefined where it is missing or empty. */
  query(name: string): string | undefined;
  /** All values of the query by that name. */
  queries(name: string): readonly string[];
}

/** @param context whose guards have let the request pass */
export function visitOf(
  context: Context<ConsoleEnv>,
  services: Services,
  place: Pick<Place, 'readOnly'>,
): Visit {
  const { req } = context;
  return {
    ...services,
    ...place,
    url: new URL(req.url),
    who: context.get('who'),
    param(name) {
      const value = req.param(name);
      if (!value) throw new Refusal(404, `there is no ${name} in this address`, 'Look at the list of runs.');
      return value;
    },
    query: (name) => req.query(name) || undefined,
    queries: (name) => (req.queries(name) ?? []).filter((value) => value !== ''),
  };
}
