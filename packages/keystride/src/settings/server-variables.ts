import { isIP } from 'node:net';
import { z } from 'zod';

/** Where a server listens. */
export interface ListenAddress {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
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

/** The settings of the codec server in the environment. */
export const codecServerVariables = {
  KEYSTRIDE_CODEC_SERVER: listenAddress.optional(),
  KEYSTRIDE_CODEC_SERVER_TOKEN: serverToken.optional(),
  KEYSTRIDE_CODEC_SERVER_ORIGINS: z
    .string()
    .transform((text) => text.split(',').map((one) => one.trim()))
    .refine((list) => list.every((one) => URL.parse(one)?.origin === one), {
      error: ({ input }) => `is not like https://temporal.example.com, with commas between: ${String(input)}`,
    })
    .optional(),
};

/** Whether a text is an address, or a network such as 10.0.0.0/8. */
export function isNetwork(text: string): boolean {
  const [address = '', length, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return length === undefined || (/^\d{1,3}$/u.test(length) && Number(length) <= (family === 4 ? 32 : 128));
}
