import type { Settings } from './environment.ts';
import type { ConfigProblem } from './secret-files.ts';
import type { ListenAddress } from './server-variables.ts';

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

export interface TrustedProxy {
  /** The header in which it names the operator, in small letters. */
  readonly header: string;
  /** Its addresses, or networks like 10.0.0.0/8. */
  readonly addresses: readonly string[];
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
