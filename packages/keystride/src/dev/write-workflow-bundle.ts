import { writeFileSync } from 'node:fs';
import { writeWorkflowBundle } from '../host/workflow-bundle.ts';

/** Run as a program of its own: bundles the workflows that an entry exports into a file, and lists what went into it. */
const [, , entry, target, inputs] = process.argv;
if (entry === undefined || target === undefined || inputs === undefined)
  throw new Error('usage: write-workflow-bundle ENTRY TARGET INPUTS');
writeFileSync(inputs, JSON.stringify(await writeWorkflowBundle(target, entry)));
