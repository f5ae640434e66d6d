import { parseArgs } from 'node:util';
import { commonOptions, numberOptions, readNumbers, readPort } from '../options.ts';
import {
  changeBehaviour,
  defaultBehaviour,
  parseSizes,
  type Behaviour,
  type SizeChoice,
} from './settings.ts';

/** How the stub was asked to run. */
export interface Options {
  host: string;
  port: number;
  seed: string;
  sizes: SizeChoice[];
  from: string | undefined;
  behaviour: Behaviour;
}

export const HELP = `A stub of the legacy API: a test tool, not for production.

Usage: server [options]

  --port N             port to listen on, 0 for any free one (0)
  --host ADDRESS       address to listen on (127.0.0.1)
  --seed TEXT          decides every document and every fault (keystride)
  --sizes LIST         sizes of the documents with weights (2KiB:80,40KiB:20); B, KB, KiB, MB, MiB
  --from DIR           serve the text files below DIR instead: the ticket key is the path below it
  --latency MS         time from a call to its answer (0)
  --jitter MS          up to this much more or less (0)

Shares of the ticket keys, from 0 to 1; a key always answers the same:
  --not-found, --malformed, --unsupported          404, 400, 422

Shares of the calls, from 0 to 1:
  --too-many, --unavailable                        429, 503 with Retry-After
  --retry-after SECONDS                            what Retry-After asks for (1)
  --server-error, --hang, --truncate, --invalid-json, --redirect

  --max-concurrent N   answer 429 to any call above N at once (no limit)
  --max-queued N       let N calls above that wait for their turn instead, answered ever later (0)
  --override KEY=FAULT a status, a domain code, a size, or hang, stall, truncate, reset, invalid-json,
                       wrong-shape, redirect; *N after it for the first N calls only; repeatable

GET /documents/{ticketKey}/sentences, GET /stats, POST /reset, POST /configure (the behaviour as JSON, names
in camel case: {"latency": 100, "notFound": 0.1, "maxConcurrent": null}), GET /health
`;

const NUMBER_OPTIONS = {
  latency: 'latency',
  jitter: 'jitter',
  'not-found': 'notFound',
  malformed: 'malformed',
  unsupported: 'unsupported',
  'too-many': 'tooMany',
  unavailable: 'unavailable',
  'server-error': 'serverError',
  hang: 'hang',
  truncate: 'truncate',
  'invalid-json': 'invalidJson',
  redirect: 'redirect',
  'retry-after': 'retryAfter',
  'max-concurrent': 'maxConcurrent',
  'max-queued': 'maxQueued',
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
      sizes: { type: 'string', default: '2KiB:80,40KiB:20' },
      from: { type: 'string' },
      override: { type: 'string', multiple: true, default: [] },
      ...numberOptions(NUMBER_OPTIONS),
    },
  });
  if (values.help === true) return undefined;
  const sizes = parseSizes(values.sizes);
  if (sizes === undefined) {
    throw new Error(`--sizes ${values.sizes} is malformed: write it as 2KiB:80,40KiB:19,18MiB:1`);
  }
  const port = readPort(values.port);
  const change = { ...readNumbers(NUMBER_OPTIONS, values), overrides: readOverrides(values.override) };
  const behaviour = changeBehaviour(defaultBehaviour, change);
  return { host: values.host, port, seed: values.seed, sizes, from: values.from, behaviour };
}

function readOverrides(texts: readonly string[]): Record<string, string> {
  const entries = texts.map((text): [string, string] => {
    const separator = text.lastIndexOf('=');
    if (separator < 1) throw new Error(`--override ${text} is malformed: write it as T-0000007=404`);
    return [text.slice(0, separator), text.slice(separator + 1)];
  });
  return Object.fromEntries(entries);
}
