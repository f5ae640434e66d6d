import { userInfo } from 'node:os';
import type { Context, MiddlewareHandler } from 'hono';
import { oneLine } from '../../contract/inert.ts';
import { ConfigError } from '../../settings/config.ts';
import type { ConsoleSettings } from '../../settings/console-settings.ts';
import type { ConsoleEnv } from '../environment.ts';
import { inNetworks } from '../../stores/networks.ts';
import { isLoopback } from '../../stores/networks.ts';
import { Refusal } from './refusal.ts';
import { isSameSecret } from './sealed.ts';

/** The longest name of an operator that is kept. */
export const longestName = 100;

/** Where a browser shows the token. */
export const signInPath = '/sign-in';

/**
 * Refuses to listen where others reach it while it would let in everybody.
 * @param variable the setting of where it listens
 * @param todo what to set
 * @throws ConfigError that says what to set
 */
export function refuseOpenDoor(
  { listen: { hostname }, token, proxy }: Pick<ConsoleSettings, 'listen' | 'token' | 'proxy'>,
  variable: string,
  todo: string,
): void {
  if (isLoopback(hostname) || token !== undefined || proxy !== undefined) return;
  throw new ConfigError(
    [{ variable, problem: `lets everybody in who reaches ${hostname}` }],
    `${todo}; or listen on 127.0.0.1.`,
  );
}

/**
 * Lets in whoever is known, and says who it is: by the header of a trusted proxy, by the token in `Authorization`, by the
 * session of a browser that has shown it, and, where nothing is set, the account that the console runs under.
 */
export function admit(settings: ConsoleSettings): MiddlewareHandler<ConsoleEnv> {
  const { token, proxy } = settings;
  const isProxy = inNetworks(proxy?.addresses ?? []);
  return async (context, next) => {
    const fromProxy = proxy && isProxy(peerOf(context)) ? context.req.header(proxy.header) : undefined;
    const bearer = token !== undefined && showsToken(context, token);
    const who = nameOf(fromProxy) ?? (bearer ? 'token' : context.get('session').who);
    context.set('bearer', bearer);
    if (who !== undefined) context.set('who', who);
    else if (token === undefined && proxy === undefined) context.set('who', accountName());
    else return turnAway(context, settings);
    return next();
  };
}

function peerOf(context: Context<ConsoleEnv>): string {
  return context.env.incoming.socket.remoteAddress ?? '';
}

/** Whether a request has the token in its header `Authorization`. */
export function showsToken({ req }: Context, token: string): boolean {
  const [, shown] = /^Bearer (\S+)$/iu.exec(req.header('authorization') ?? '') ?? [];
  return shown !== undefined && isSameSecret(shown, token);
}

/** A name as it may be shown and kept; undefined for none. */
export function nameOf(given: string | undefined): string | undefined {
  const name = oneLine(given ?? '').slice(0, longestName);
  return name === '' ? undefined : name;
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number without a name.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}

/** Whether a path is of the API. */
export function isForPrograms(pathname: string): boolean {
  return /^\/api(\/|$)/u.test(pathname);
}

/** A person is led to where the token is asked for, with the way back; a program is told. */
function turnAway(context: Context<ConsoleEnv>, { token }: ConsoleSettings): Response {
  const { pathname, search } = new URL(context.req.url);
  if (token !== undefined && context.req.method === 'GET' && !isForPrograms(pathname))
    return context.redirect(`${signInPath}?to=${encodeURIComponent(pathname + search)}`, 303);
  throw new Refusal(
    401,
    'the console does not know who you are',
    token === undefined
      ? 'Come through the proxy that signs you in.'
      : 'Send the header `Authorization: Bearer` with the token of the console.',
  );
}
