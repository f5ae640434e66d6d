import type { Mutation } from './mutation.ts';

const source = 'packages/keystride/src';
const temporal = `${source}/settings/temporal-settings.ts`;
const postgres = `${source}/stores/postgres/address.ts`;
const rights = 'test/host/least-rights.test.ts';

/** How others are reached, and what may be done there: docs/connections.md. */
export const connections: readonly Mutation[] = [
  {
    rule: 'Temporal on another machine is not reached in the open',
    edits: [[temporal, 'loopback.test(host) || allowed.includes(host)', `host !== ''`]],
    test: 'test/config.test.ts',
    named: 'is reached in the open on this machine',
  },
  {
    rule: 'a name that begins like this machine is another machine',
    edits: [[temporal, String.raw`(\.\d{1,3}){3}|::1)$/u`, String.raw`(\.\d{1,3}){3}|::1)/u`]],
    test: 'test/config.test.ts',
    named: 'is reached in the open on this machine',
  },
  {
    rule: 'a worker finds out that its namespace is closed to it',
    edits: [
      [
        `${source}/host/resources.ts`,
        '    await connection.workflowService.describeNamespace({ namespace });\n',
        '',
      ],
    ],
    test: 'test/workflows/worker-start.test.ts',
    named: 'a namespace that Temporal does not have',
  },
  {
    rule: 'a certificate of the database is checked against the CA that is given',
    edits: [[postgres, 'rejectUnauthorized: root !== undefined', `rejectUnauthorized: root === ''`]],
    test: 'test/stores/server-client.test.ts',
    named: 'verify-full, and another CA',
  },
  {
    rule: 'verify-full looks at the name that a certificate is for',
    edits: [[postgres, '...(!named && {', '...(true && {']],
    test: 'test/stores/server-client.test.ts',
    named: 'the name that the certificate is for',
  },
  {
    rule: 'a mode that verifies says whom it believes',
    edits: [
      [postgres, `if (root === null && mode.startsWith('verify'))`, `if (mode === 'allow' && root === '')`],
    ],
    test: 'test/cli/database-problems.test.ts',
    named: 'sslmode=verify-full',
  },
  {
    rule: 'sslmode=require does not fall back to plain text',
    edits: [
      [
        postgres,
        `return mode === 'prefer' ? [encrypted, false] : [encrypted];`,
        `return mode === 'prefer' || mode === 'require' ? [encrypted, false] : [encrypted];`,
      ],
    ],
    test: 'test/stores/server-client.test.ts',
    named: 'are not left for the sake of a connection',
  },
  {
    rule: 'sessions on a source are read-only',
    edits: [
      ['ops/sql/roles.sql', 'ALTER ROLE keystride_source SET default_transaction_read_only = on;\n', ''],
    ],
    test: rights,
    named: 'source cannot, on the source: DELETE',
  },
  {
    rule: 'the role of a source has no right to write',
    edits: [['ops/sql/source.sql', 'GRANT SELECT ON ALL TABLES', 'GRANT ALL ON ALL TABLES']],
    test: rights,
    named: 'BEGIN READ WRITE',
  },
  {
    rule: 'a worker may not empty the ledger',
    edits: [
      [
        'ops/sql/target.sql',
        '  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO keystride_worker;',
        '  GRANT ALL ON TABLES TO keystride_worker;',
      ],
    ],
    test: rights,
    named: 'TRUNCATE keystride.instance',
  },
];
