import { isIP } from 'node:net';
import type { MiddlewareHandler } from 'hono';
import type { ConsoleSettings } from '../../settings/console-settings.ts';
import { isLoopback } from '../../stores/networks.ts';
import { Refusal } from './refusal.ts';

/**
 * Answers to its own names alone. A page elsewhere can let a name of its own lead to 127.0.0.1 (DNS rebinding), and is of
 * the same origin then; the name is still in the header Host.
 *
 * @param port on which it listens
 * @param server whose guard it is, and the setting of its address, for messages
 */
export function expectHost(
  settings: Pick<ConsoleSettings, 'listen' | 'url'>,
  port: () => number,
  server = { name: 'console', variable: 'KEYSTRIDE_CONSOLE_URL' },
): MiddlewareHandler {
  return async (context, next) => {
    const host = context.req.header('host') ?? '';
    if (!isOurs(host, settings, port()))
      throw new Refusal(
        421,
        `the ${server.name} does not go by this name`,
        `Open it at the address that it printed, or set ${server.variable} to how browsers reach it.`,
      );
    await next();
  };
}

function isOurs(
  host: string,
  { listen: { hostname }, url }: Pick<ConsoleSettings, 'listen' | 'url'>,
  port: number,
): boolean {
  if (url !== undefined && host.toLowerCase() === new URL(url).host) return true;
  const [, name = '', digits = '80'] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/u.exec(host.toLowerCase()) ?? [];
  if (Number(digits) !== port) return false;
  const bare = name.replaceAll(/[[\]]/gu, '');
  if (isLoopback(hostname)) return isLoopback(bare);
  // No name leads where a number stands: whatever address it is, it is the one that was reached.
  return bare === hostname || isIP(bare) > 0;
}
