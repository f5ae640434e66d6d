import type { MiddlewareHandler } from 'hono';
import type { ConsoleEnv } from '../environment.ts';
import { isSafe } from './origin.ts';
import { Refusal } from './refusal.ts';

/** Takes no changes where the console is for looking alone. */
export function refuseChanges(readOnly: boolean): MiddlewareHandler<ConsoleEnv> {
  return async (context, next) => {
    if (readOnly && !isSafe(context.req.method))
      throw new Refusal(
        403,
        'this console is for looking alone',
        'Use one that is not read-only, or the command.',
      );
    await next();
  };
}
