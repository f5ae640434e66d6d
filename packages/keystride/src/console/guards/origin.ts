import type { Context, MiddlewareHandler } from 'hono';
import type { ConsoleEnv } from '../environment.ts';
import { Refusal } from './refusal.ts';

/** Methods that change nothing. */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/**
 * Takes changes from its own pages, and from programs, which send neither of the two headers. Browsers send one or both
 * with every change, and no page can set them.
 */
export function expectOwnOrigin(url: string | undefined): MiddlewareHandler<ConsoleEnv> {
  return async (context, next) => {
    if (!isSafe(context.req.method) && !isFromHere(context, url))
      throw new Refusal(
        403,
        'the change comes from another site',
        'Open the console itself, and make the change there.',
      );
    await next();
  };
}

function isFromHere({ req }: Context, url: string | undefined): boolean {
  const site = req.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin') return false;
  const origin = req.header('origin');
  if (origin === undefined) return true;
  // A page without an origin sends `null`.
  const host = URL.parse(origin)?.host;
  return (
    host !== undefined && (host === req.header('host') || (url !== undefined && host === new URL(url).host))
  );
}
