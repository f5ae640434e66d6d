import type { Mutation } from './mutation.ts';

const source = 'packages/keystride/src';
const safe = `${source}/stores/safe-message.ts`;
const codec = `${source}/settings/data-converter.ts`;
const logging = `${source}/host/logging.ts`;

/** What is told of rows, secrets and addresses, and to whom: docs/security.md. */
export const told: readonly Mutation[] = [
  {
    rule: 'what a library says of an error is not told',
    edits: [[safe, 'if (!ours && !isOfTheJob(error)) return undefined;', '']],
    test: 'test/engine/safe-message.test.ts',
    named: 'only what it is and where it comes from is told',
  },
  {
    rule: 'the content of an item is taken out of what a job says',
    edits: [
      [
        safe,
        'ours || !subject ? error.message : withoutContent(error.message, subject)',
        'subject ? error.message : error.message',
      ],
    ],
    test: 'test/engine/safe-message.test.ts',
    named: 'holds nothing of its item but the key',
  },
  {
    rule: 'an address that is none is not shown',
    edits: [[`${source}/settings/temporal-settings.ts`, 'if (host === undefined || tls ||', 'if (tls ||']],
    test: 'test/config.test.ts',
    named: 'an address that is none is not shown',
  },
  {
    rule: 'payloads are encrypted',
    edits: [[codec, 'payloads.map((payload) => encrypted(payload, ...current))', 'payloads']],
    test: 'test/host/encryption.test.ts',
    named: 'gives back what it was given, and shows none of it',
  },
  {
    rule: 'messages of failures are encrypted',
    edits: [
      [
        `${source}/workflow/failure-converter.ts`,
        '.keystrideEncodesFailures === true',
        '.keystrideEncodesFailures === null',
      ],
    ],
    test: 'test/host/encryption.test.ts',
    named: 'leaves nothing readable with Temporal',
  },
  {
    rule: 'a key that is lacking is asked for, and nothing is made up',
    edits: [[codec, 'if (key) return key;', 'if (this.#keys) return key ?? Buffer.alloc(32);']],
    test: 'test/host/encryption.test.ts',
    named: 'a key that is not there is named',
  },
  {
    rule: 'a sensitive value does not stand on a command line',
    edits: [[`${source}/cli/parameters.ts`, 'if (sensitive !== undefined)', `if (sensitive === '')`]],
    test: 'test/cli/parameters.test.ts',
    named: 'on the command line is refused',
  },
  {
    rule: 'a task token is in no log',
    edits: [[logging, `    redact: { paths: ['taskToken'], remove: true },\n`, '']],
    test: 'test/logging.test.ts',
    named: 'a task token is told nowhere',
  },
  {
    rule: 'a log line holds nothing that a terminal obeys',
    edits: [[logging, `if (typeof value === 'string') return value.replaceAll(obeyed, ' ');`, '']],
    test: 'test/logging.test.ts',
    named: 'nothing that a terminal obeys',
  },
  {
    rule: 'a webhook is not in a private network unless it is listed',
    edits: [[`${source}/stores/http/webhook.ts`, '      dispatcher: agent,\n', '']],
    test: 'test/stores/private-hosts.test.ts',
    named: 'a webhook is held to the same',
  },
  {
    rule: 'a call ends when its time is over',
    edits: [
      [
        `${source}/stores/http/calls.ts`,
        'setTimeout(() => bounded.abort(timedOut()),',
        'setTimeout(() => undefined,',
      ],
    ],
    test: 'test/stores/http-bounds.test.ts',
    named: 'ends when its time is over',
  },
  {
    rule: 'names of columns are quoted',
    edits: [
      [
        `${source}/table-sync/sink.ts`,
        'const quoted = (name: string) => pg.escapeIdentifier(name);',
        'const quoted = (name: string) => `"${name}"`;',
      ],
    ],
    test: 'test/jobs/table-sync-names.test.ts',
    named: 'columns of any name are keys',
  },
];
