import type { Mutation } from './mutation.ts';

const claim = 'packages/keystride/src/ledger/claim.ts';
const checkpoint = 'packages/keystride/src/ledger/checkpoint.ts';
const hold = 'packages/keystride/src/ledger/hold-claim.ts';
const seen = 'packages/keystride/src/ledger/seen-steps.ts';
const step = 'packages/keystride/src/ledger/step.ts';
const test = 'test/engine/ledger-behind.test.ts';
const lostClaims = 'test/engine/lost-claims.test.ts';

/** What an execution finds in the ledger, and what it may do there. */
export const ledger: readonly Mutation[] = [
  {
    rule: 'a tasklet that has committed does not run again',
    edits: [[step, `if (step.status === 'completed') return`, `if (step.status === '') return`]],
    test,
    named: 'a tasklet whose answer was lost is not run again',
  },
  {
    rule: 'a ledger that hides rows from its role begins no run',
    edits: [
      ['packages/keystride/src/operations/open-job.ts', '  await requireShown(resources.ledger);\n', ''],
    ],
    test: 'test/jobs/sync-row-security.test.ts',
    named: 'table checkpoint from the role begins no run',
  },
  {
    rule: 'an execution that was shut out closes nothing (epoch)',
    edits: [[hold, 'holder.epoch === claim.epoch &&', 'holder.epoch > 0 &&']],
    test: lostClaims,
    named: 'nothing happens when the job is completed',
  },
  {
    rule: 'an epoch that was given out twice is one claim alone (owner)',
    edits: [[hold, 'claim.owner === holder.workflowId)', 'holder.workflowId !== null)']],
    test: lostClaims,
    named: 'the steps are gone and another has the same epoch',
  },
  {
    rule: 'a run claimed in one ledger does nothing in another',
    edits: [[hold, 'claim.ledger === holder.ledger)', 'holder.ledger !== null)']],
    test: lostClaims,
    named: 'in another ledger',
  },
  {
    rule: 'a run does not complete over steps that the ledger has lost',
    edits: [
      [
        claim,
        'const behind = await lostSteps(transaction, claim, saw);',
        'const behind = saw.slice(0, 0).map(String);',
      ],
    ],
    test,
    named: 'is not completed where the ledger has lost',
  },
  {
    rule: 'a step does not begin where the ledger has lost one before it',
    edits: [[step, 'if (lost.length > 0) throw', 'if (lost.length < 0) throw']],
    test,
    named: 'is not completed where the ledger has lost',
  },
  {
    rule: 'figures that were answered are those of the ledger',
    edits: [[seen, 'found[name] === counters[name]', 'found[name] >= 0']],
    test,
    named: 'fails where a completed step has other figures',
  },
  {
    rule: 'a partition is not cut under a chunk that commits (seq)',
    edits: [
      ['packages/keystride/src/ledger/split.ts', `\n        .where('seq', '=', String(lease.seq))`, ''],
    ],
    test,
    named: 'a partition is not cut where a chunk has committed since',
  },
  {
    rule: 'a commit that was not answered is asked about by its own attempt (holder)',
    edits: [
      [
        checkpoint,
        'if (row.holder !== lease.holder) throw superseded(lease);\n    return Number',
        'if (row.holder === null) throw superseded(lease);\n    return Number',
      ],
    ],
    test,
    named: 'a commit of another attempt is not taken for that of this one',
  },
  {
    rule: 'a step is recorded under the claim alone',
    edits: [
      [
        step,
        `    await holdClaim(transaction, key.claim);\n    // Its checkpoints`,
        `    // Its checkpoints`,
      ],
    ],
    test: lostClaims,
    named: 'nothing happens when a step is recorded',
  },
  {
    rule: 'a redrive closes only the skips that it has in hand',
    edits: [
      [
        'packages/keystride/src/ledger/redriven-skips.ts',
        'if (found === wanted) return;',
        'if (found !== null) return;',
      ],
    ],
    test,
    named: 'skips that another redrive has taken are not closed',
  },
  {
    rule: 'a redrive takes no older row than a later run of the stream has copied',
    edits: [
      [
        'packages/keystride/src/table-sync/steps.ts',
        'if (request.since) await requireLatest(ledger, await sync());',
        '',
      ],
    ],
    test: 'test/jobs/sync-replica.test.ts',
    named: 'a redrive from a standby does not write an older row',
  },
  {
    rule: 'a redrive takes no older row than the one that was skipped',
    edits: [
      [
        'packages/keystride/src/stores/postgres/keyset-reader.ts',
        'if (since) await requireSkipped(source.pool, since);',
        '',
      ],
    ],
    test: 'test/jobs/sync-replica.test.ts',
    named: 'nor does it take a row of before its skip',
  },
  {
    rule: 'what must not be restarted is not run again by a schedule after a restore',
    edits: [
      [
        'packages/keystride/src/operations/open-job.ts',
        'if (preventRestart && !request.carried) await refuseForgotten(resources, request, instance);',
        '',
      ],
    ],
    test: 'test/workflows/restored-ledger.test.ts',
    named: 'a backfill does not run again what must not be restarted',
  },
  {
    rule: 'a collection is written under one ledger',
    edits: [
      [
        'packages/keystride/src/stores/mongo/ledger-mark.ts',
        'if (mark?.ledger === ledger) return',
        'if (mark?.ledger !== null) return',
      ],
    ],
    test: 'test/jobs/two-ledgers.test.ts',
    named: 'the one that comes second is refused by name',
  },
];
