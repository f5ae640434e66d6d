import { randomUUID } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { z } from 'zod';
import type { ConsoleEnv, Session } from '../environment.ts';
import type { Seal } from './sealed.ts';

const sessionSchema = z.object({ id: z.string(), who: z.string().optional() });

/** Sessions in a cookie that no script reads and that no other site's request carries. Nothing is kept here. */
export class Sessions {
  readonly #seal: Seal;
  readonly #secure: boolean;
  readonly #port: () => number;

  /** @param secure browsers reach the console by TLS alone */
  constructor(seal: Seal, { secure, port }: { readonly secure: boolean; readonly port: () => number }) {
    this.#seal = seal;
    this.#secure = secure;
    this.#port = port;
  }

  /** Gives every browser a session. */
  middleware(): MiddlewareHandler<ConsoleEnv> {
    return async (context, next) => {
      const known = this.#read(context);
      if (!known && comesFromElsewhere(context)) return context.html(cameFromElsewhere);
      context.set('session', known ?? this.begin(context, {}));
      return next();
    };
  }

  /** A session of its own id: what was known of the browser before is of no use to anybody. */
  begin(context: Context<ConsoleEnv>, { who }: Pick<Session, 'who'>): Session {
    const session: Session = { id: randomUUID(), ...(who !== undefined && { who }) };
    setCookie(context, this.#name, this.#seal.close('session', JSON.stringify(session)), {
      httpOnly: true,
      sameSite: 'Strict',
      secure: this.#secure,
      path: '/',
    });
    return session;
  }

  /** Browsers know no ports in cookies: two consoles of one machine must not take each other's. */
  get #name(): string {
    return `keystride-session-${this.#port()}`;
  }

  #read(context: Context<ConsoleEnv>): Session | undefined {
    const text = this.#seal.open('session', getCookie(context, this.#name));
    if (text === undefined) return undefined;
    const { id, who } = sessionSchema.parse(JSON.parse(text));
    return { id, ...(who !== undefined && { who }) };
  }
}

/**
 * Whoever follows a link in a chat comes without the cookie, which is for requests of this site alone. A new session
 * would take the place of the one they have, so the page lets the browser ask again, from here.
 */
function comesFromElsewhere({ req }: Context): boolean {
  return req.header('sec-fetch-site') === 'cross-site' && req.header('sec-fetch-mode') === 'navigate';
}

const cameFromElsewhere = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>keystride</title><meta http-equiv="refresh" content="0">
<p><a href="">Go on to the console</a></p></html>
`;
