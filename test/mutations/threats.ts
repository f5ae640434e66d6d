import type { Mutation } from './mutation.ts';

const source = 'packages/keystride/src';
const codec = `${source}/codec/app.ts`;
const http = `${source}/stores/http`;
const files = `${source}/stores/files/source-file.ts`;
const sensitive = `${source}/contract/sensitive.ts`;

/** The table of docs/security.md: each guard by itself, beside those of the console. */
export const threats: readonly Mutation[] = [
  {
    rule: 'the codec server answers to its own names alone',
    edits: [[`${source}/console/guards/host.ts`, 'if (!isOurs(host, settings, port()))', 'if (port() < 0)']],
    test: 'test/codec/codec-server.test.ts',
    named: 'nobody by another name',
  },
  {
    rule: 'the codec server decrypts for no other page than the Temporal UI',
    edits: [[codec, '    expectOrigin(settings.origins),\n', '']],
    test: 'test/codec/codec-server.test.ts',
    named: 'no other page',
  },
  {
    rule: 'the codec server wants its token',
    edits: [[codec, '    expectToken(settings.token),\n', '']],
    test: 'test/codec/codec-server.test.ts',
    named: 'whoever shows the token',
  },
  {
    rule: 'the codec server takes no request that is too large',
    edits: [[codec, '    bodyLimit({ maxSize: largestRequest, onError: refuseLarge }),\n', '']],
    test: 'test/codec/codec-server.test.ts',
    named: 'too large is refused',
  },
  {
    rule: 'the codec server decrypts for its own namespace alone',
    edits: [[codec, '    expectNamespace(namespace),\n', '']],
    test: 'test/codec/codec-server.test.ts',
    named: 'asks for its namespace',
  },
  {
    rule: 'a sensitive value stands in no name of an instance',
    edits: [[sensitive, 'names.has(name) && value !== undefined ?', 'names.size < 0 ?']],
    test: 'test/engine/sensitive.test.ts',
    named: 'is in nothing that is shown',
  },
  {
    rule: 'a mark inside of a parameter counts',
    edits: [[sensitive, `.includes('"sensitive":true')`, `.startsWith('{"sensitive":true')`]],
    test: 'test/engine/sensitive.test.ts',
    named: 'a mark is seen',
  },
  {
    rule: 'a sensitive parameter is refused without a key',
    edits: [[sensitive, 'key ?? noKey(job, names)', 'key ?? new Uint8Array(32)']],
    test: 'test/engine/sensitive.test.ts',
    named: 'is not taken without a key',
  },
  {
    rule: 'what is wrong with a sensitive parameter is not told',
    edits: [[`${source}/contract/parameters.ts`, 'fault === missing ? missing : undefined', 'fault']],
    test: 'test/engine/sensitive.test.ts',
    named: 'that is wrong is not told',
  },
  {
    rule: 'the agent of an API goes to no other host',
    edits: [[`${http}/private-hosts.ts`, 'if (bare(hostname) !== host ||', 'if (hostname === host && ']],
    test: 'test/stores/private-hosts.test.ts',
    named: 'goes nowhere else',
  },
  {
    rule: 'a name that leads into a private network is refused',
    edits: [[`${http}/private-hosts.ts`, 'if (hidden && !isOpen)', 'if (hidden && isOpen)']],
    test: 'test/stores/private-hosts.test.ts',
    named: 'leads into a private network',
  },
  {
    rule: 'the credentials of the machine are no API',
    edits: [[`${http}/private-hosts.ts`, 'if (isMetadata(host) && !isListed(host))', 'if (isListed(host))']],
    test: 'test/stores/private-hosts.test.ts',
    named: 'credentials of the machine',
  },
  {
    rule: 'a path stays below the address of its API',
    edits: [
      [`${http}/calls.ts`, "if (path.startsWith('/') && url?.pathname", 'if (path !== null || url?.pathname'],
    ],
    test: 'test/stores/http-bounds.test.ts',
    named: 'would lead elsewhere is not posted',
  },
  {
    rule: 'a compressed answer is not opened',
    edits: [
      [`${http}/charset.ts`, "if (encoding !== '' && encoding !== 'identity')", "if (encoding === '')"],
    ],
    test: 'test/stores/http-bounds.test.ts',
    named: 'that is compressed',
  },
  {
    rule: 'an answer that is an error is read for its code alone',
    edits: [[`${http}/calls.ts`, 'if (length > most) return undefined;', '']],
    test: 'test/stores/http-bounds.test.ts',
    named: 'that is an error is read for its code alone',
  },
  {
    rule: 'JSON is read to a depth that can be gone through',
    edits: [[`${source}/stores/json/exact-json.ts`, 'if (depth > deepest)', 'if (depth < 0)']],
    test: 'test/stores/exact-json.test.ts',
    named: 'is refused and not quoted',
  },
  {
    rule: 'keys that MongoDB takes for its own are no keys of a document',
    edits: [
      [`${source}/stores/json/exact-json.ts`, "!key.startsWith('$') && !key.includes('.')", "key !== '.'"],
    ],
    test: 'test/stores/exact-json.test.ts',
    named: 'fits into a document',
  },
  {
    rule: 'no path leads a reader out of its directory',
    edits: [[files, 'if (real.startsWith(inside + path.sep))', 'if (real !== inside)']],
    test: 'test/readers/file-places.test.ts',
    named: 'reads nothing else',
  },
  {
    rule: 'a directory whose name begins alike is another one',
    edits: [[files, 'inside + path.sep', 'inside']],
    test: 'test/readers/file-places.test.ts',
    named: 'reads nothing else',
  },
  {
    rule: 'a pipe is not waited for',
    edits: [[files, 'constants.O_RDONLY | constants.O_NONBLOCK', 'constants.O_RDONLY']],
    test: 'test/readers/file-places.test.ts',
    named: 'is no file',
  },
  {
    rule: 'a cell of an export is no formula',
    edits: [[`${source}/operator/csv.ts`, 'formula.test(text) && !number.test(text)', 'text === ""']],
    test: 'test/skips/csv.test.ts',
    named: 'is no formula any more',
  },
  {
    rule: 'no control character reaches the terminal',
    edits: [[`${source}/contract/inert.ts`, String.raw`[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+`, String.raw`\n+`]],
    test: 'test/cli/inert.test.ts',
    named: 'no control character',
  },
];
