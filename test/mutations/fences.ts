import type { Mutation } from './mutation.ts';

const bulk = 'packages/keystride/src/stores/mongo/bulk.ts';
const store = 'src/activities/document-migration/store.ts';
const fence = 'packages/keystride/src/page/fence.ts';
const repairClaim = 'packages/keystride/src/ledger/repair-claim.ts';
const writes = 'test/jobs/mongo-writes.test.ts';
const ghosts = 'test/jobs/ghost-writes.test.ts';
const byItself = 'test/engine/fence.test.ts';

/** What attempts write to stores that no transaction reaches. */
export const fences: readonly Mutation[] = [
  {
    rule: 'an attempt replaces no document of a later one (fence)',
    edits: [[bulk, 'fence: { $not: { $gt: fence } }', 'fence: { $not: { $gt: 1e300 } }']],
    test: writes,
    named: 'overtaken while it is written',
  },
  {
    rule: 'a write that was refused is told (fence)',
    edits: [[bulk, 'if (highest > fence)', 'if (highest > 1e300)']],
    test: writes,
    named: 'an earlier attempt of the same execution',
  },
  {
    rule: 'each attempt writes a file of its own (fence)',
    edits: [
      [
        'packages/keystride/src/stores/mongo/file-ids.ts',
        "return `${document}/${epoch}.${fence}.${randomBytes(4).toString('hex')}`;",
        'void [epoch, fence, randomBytes]; return `${document}/1.1.00000000`;',
      ],
    ],
    test: ghosts,
    named: 'whatever attempts die or sleep',
  },
  {
    rule: 'a file that was replaced is removed after the commit (fence)',
    edits: [[store, 'attempt.afterCommit(() => files.remove(replaced))', 'await files.remove(replaced)']],
    test: ghosts,
    named: 'stays until the commit',
  },
  {
    rule: 'a fence is never below the clock',
    edits: [
      [
        'packages/keystride/src/ledger/fence.ts',
        '(extract(epoch FROM clock_timestamp()) * 1000)::bigint',
        '1::bigint',
      ],
    ],
    test: byItself,
    named: 'has forgotten its fences',
  },
  {
    rule: 'what is tried again takes a higher fence',
    edits: [
      [
        'packages/keystride/src/page/prepare-chunk.ts',
        'if (above !== undefined) await',
        'if (above !== undefined && above > 0) await',
      ],
    ],
    test: byItself,
    named: 'tried again',
  },
  {
    rule: 'an attempt that was overtaken goes above nothing (fence)',
    edits: [[fence, 'await this.#hold(transaction);', 'void this.#hold;']],
    test: byItself,
    named: 'counts nothing as written',
  },
  {
    rule: 'a repair shuts out who is still at work (fence)',
    edits: [
      [
        repairClaim,
        ".where('instance_key', '=', instance)\n        .where('holder', 'is not', null),",
        ".where('instance_key', '=', instance)\n        .where('holder', '=', ''),",
      ],
    ],
    test: byItself,
    named: 'Superseded by a repair',
  },
  {
    rule: 'a repair writes nothing after a later one (fence)',
    edits: [[repairClaim, 'Number(row?.repair_fence) === claimed.fence', 'row !== undefined']],
    test: byItself,
    named: 'writes nothing after another repair',
  },
  {
    rule: 'a repair removes nothing of an attempt after it (fence)',
    edits: [
      ['src/activities/document-migration/orphans.ts', 'fenceOfFile(id) < fence', 'fenceOfFile(id) >= 0'],
    ],
    test: 'test/jobs/verification.test.ts',
    named: 'began after the repair',
  },
];
