import { parseArgs } from 'node:util';
import { commonOptions, numberOptions, readNumbers, readPort } from '../options.ts';
import { changeBehaviour, defaultBehaviour, type Behaviour } from './settings.ts';

/** How the stub was asked to run. */
export interface Options {
  host: string;
  port: number;
  seed: string;
  behaviour: Behaviour;
}

export const HELP = `A stub of a message provider: a test tool, not for production. It delivers nothing to anybody.

Usage: server [options]

  --port N             port to listen on, 0 for any free one (0)
  --host ADDRESS       address to listen on (127.0.0.1)
  --seed TEXT          decides every fault (keystride)
  --latency MS         time from a call to its answer (0)
  --refused SHARE      share of the members, from 0 to 1, whose phone is not known: 400

Shares of the calls, from 0 to 1:
  --too-many, --unavailable                        429, 503 with Retry-After
  --retry-after SECONDS                            what Retry-After asks for (1)
  --drop                                           the message is accepted, the connection ends without an answer

POST /messages with the header Idempotency-Key and a JSON body with a memberId: 202. What comes again under a key is
answered 202 as well, and not delivered again; while the first call is under way, 409.
GET /messages lists what came in, key by key. GET /stats, POST /reset, POST /configure (the behaviour as JSON, names in
camel case, and {"refusals": {"17": "UNSUBSCRIBED"}} for single members), GET /health
`;

const NUMBER_OPTIONS = {
  latency: 'latency',
  refused: 'refused',
  'too-many': 'tooMany',
  unavailable: 'unavailable',
  drop: 'drop',
  'retry-after': 'retryAfter',
} as const satisfies Record<string, keyof Behaviour>;

/**
 * Reads the command line.
 * @returns undefined when help was asked for
 * @throws Error naming the option that is unknown or malformed
 */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...commonOptions,
      ...numberOptions(NUMBER_OPTIONS),
    },
  });
  if (values.help === true) return undefined;
  const behaviour = changeBehaviour(defaultBehaviour, readNumbers(NUMBER_OPTIONS, values));
  return { host: values.host, port: readPort(values.port), seed: values.seed, behaviour };
}
