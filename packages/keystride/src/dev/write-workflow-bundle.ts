import { writeWorkflowBundle } from '../host/workflow-bundle.ts';

/** Run as a program of its own: bundles the workflows that an entry exports into a file. */
const [, , entry, target] = process.argv;
if (entry === undefined || target === undefined) throw new Error('usage: write-workflow-bundle ENTRY TARGET');
await writeWorkflowBundle(target, entry);
