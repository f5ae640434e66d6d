import { writeWorkflowBundle } from '../host/workflow-bundle.ts';

/** Run as a program of its own: writes the bundle of all workflows to the path it is given. */
const target = process.argv[2];
if (target === undefined) throw new Error('usage: write-workflow-bundle PATH');
await writeWorkflowBundle(target);
