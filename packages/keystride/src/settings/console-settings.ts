import { isIP } from 'node:net';
import { z } from 'zod';
import type { Settings } from './environment.ts';
import type { ConfigProblem } from './secret-files.ts';

/** Where the console listens when nobody says where. */
export const consolePort = 9233;

/** Where the console listens, who reaches it, and what they may do. */
export interface ConsoleSettings {
  /** `KEYSTRIDE_CONSOLE` @default 127.0.0.1:9233 */
  readonly listen: ListenAddress;
  /** `KEYSTRIDE_CONSOLE_URL`: how browsers reach it, where that is not the address that it listens on. */
  readonly url?: string;
  /** `KEYSTRIDE_CONSOLE_TOKEN`: what whoever reaches it has to show. */
  readonly token?: string;
  /** `KEYSTRIDE_CONSOLE_OPERATOR_HEADER` and `KEYSTRIDE_CONSOLE_PROXIES`: a proxy that says who it is. */
  readonly proxy?: TrustedProxy;
  /** `KEYSTRIDE_CONSOLE_READ_ONLY` @default false */
  readonly readOnly: boolean;
}

export interface ListenAddress {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
}

export interface TrustedProxy {
  /** The header in which it names the operator, in small letters. */
  readonly header: string;
  /** Its addresses, or networks like 10.0.0.0/8. */
  readonly addresses: readonly string[];
}

/** Shorter ones can be guessed. */
const leastToken = 16;

/** An address to listen on: `127.0.0.1:9233`, `[::1]:9233`, `0.0.0.0:9233`. */
export const listenAddress = z.string().transform((text, context): ListenAddress => {
  const parsed = parseListenAddress(text);
  if (parsed) return parsed;
  context.addIssue({ code: 'custom', message: `is not like 127.0.0.1:9233: ${text}` });
  return z.NEVER;
});

/** @returns undefined for what is no address to listen on */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, inBrackets, plain, digits] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/iu.exec(text) ?? [];
  const hostname = inBrackets ?? plain;
  const port = Number(digits);
  if (hostname === undefined || port > 65_535) return undefined;
  return inBrackets !== undefined && isIP(inBrackets) !== 6 ? undefined : { hostname, port };
}

/** What whoever reaches a server has to show. */
export const serverToken = z
  .string()
  .min(leastToken, { error: `is shorter than ${leastToken} characters; it is not shown` });

/** The settings of the console in the environment. */
export const consoleVariables = {
  KEYSTRIDE_CONSOLE: listenAddress.optional(),
  KEYSTRIDE_CONSOLE_TOKEN: serverToken.optional(),
  KEYSTRIDE_CONSOLE_OPERATOR_HEADER: z
    .string()
    .regex(/^[A-Za-z\d-]{1,100}$/u, { error: ({ input }) => `is no name of a header: ${String(input)}` })
    .transform((name) => name.toLowerCase())
    .optional(),
  KEYSTRIDE_CONSOLE_PROXIES: z
    .string()
    .transform((text) => text.split(',').map((one) => one.trim()))
    .refine((list) => list.every(isNetwork), {
      error: ({ input }) => `is not like 10.0.0.7,192.168.1.0/24: ${String(input)}`,
    })
    .optional(),
  KEYSTRIDE_CONSOLE_READ_ONLY: z
    .stringbool({ error: ({ input }) => `is neither true nor false: ${String(input)}` })
    .optional(),
};

/** Whether a text is an address, or a network such as 10.0.0.0/8. */
export function isNetwork(text: string): boolean {
  const [address = '', length, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return length === undefined || (/^\d{1,3}$/u.test(length) && Number(length) <= (family === 4 ? 32 : 128));
}

/** The settings of the console; adds what is wrong with them to `problems`. */
export function consoleOf(settings: Settings, problems: ConfigProblem[]): ConsoleSettings {
  const {
    KEYSTRIDE_CONSOLE_TOKEN: token,
    KEYSTRIDE_CONSOLE_URL: url,
    KEYSTRIDE_CONSOLE_READ_ONLY: readOnly = false,
  } = settings;
  const proxy = proxyOf(settings, problems);
  return {
    listen: settings.KEYSTRIDE_CONSOLE ?? { hostname: '127.0.0.1', port: consolePort },
    readOnly,
    ...(url !== undefined && { url }),
    ...(token !== undefined && { token }),
    ...(proxy && { proxy }),
  };
}

/** Both or neither: a header that anybody may send names nobody. */
function proxyOf(settings: Settings, problems: ConfigProblem[]): TrustedProxy | undefined {
  const { KEYSTRIDE_CONSOLE_OPERATOR_HEADER: header, KEYSTRIDE_CONSOLE_PROXIES: addresses } = settings;
  if (header !== undefined && addresses !== undefined) return { header, addresses };
  if ((header ?? addresses) === undefined) return undefined;
  const [missing, given] =
    header === undefined
      ? ['KEYSTRIDE_CONSOLE_OPERATOR_HEADER', 'KEYSTRIDE_CONSOLE_PROXIES']
      : ['KEYSTRIDE_CONSOLE_PROXIES', 'KEYSTRIDE_CONSOLE_OPERATOR_HEADER'];
  if (!problems.some(({ variable }) => variable === missing))
    problems.push({ variable: missing, problem: `is not set, but ${given} is: set both or neither` });
  return undefined;
}
