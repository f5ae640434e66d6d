import type { MiddlewareHandler } from 'hono';
import type { ConsoleEnv, Session } from '../environment.ts';
import { isSafe } from './origin.ts';
import { Refusal } from './refusal.ts';
import { isSameSecret, type Seal } from './sealed.ts';

/** The field of a form, and the header of a request to the API, that has the session's token. */
export const tokenField = 'token';
export const tokenHeader = 'x-keystride-token';

/** What a form of a session's pages proves itself with. */
export function formTokenOf(seal: Seal, { id }: Session): string {
  return seal.proof('form', id);
}

/**
 * Takes changes with the token of the session that sends them: another site's form has none, and the token of another
 * session is of no use. Whoever shows the console's own token in a header is no browser that was led here.
 */
export function expectFormToken(seal: Seal): MiddlewareHandler<ConsoleEnv> {
  return async (context, next) => {
    if (!isSafe(context.req.method) && !context.get('bearer')) {
      const shown = context.req.header(tokenHeader) ?? (await context.req.parseBody())[tokenField];
      const expected = formTokenOf(seal, context.get('session'));
      if (typeof shown !== 'string' || !isSameSecret(shown, expected))
        throw new Refusal(
          403,
          'the form is not one of this session',
          'The console may have been started anew since: load the page again, and send it once more.',
        );
    }
    await next();
  };
}
