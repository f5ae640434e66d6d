import { randomBytes } from 'node:crypto';
import type { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { searchAttributes as names } from '../contract/search-attributes.ts';
import { waitFor } from './wait-for.ts';

/** Temporal's numbers for the types of search attributes. */
const keyword = 2;
const integer = 3;
const time = 6;

const searchAttributes = {
  [names.job]: keyword,
  [names.status]: keyword,
  [names.skipped]: integer,
  [names.businessDate]: time,
};

/**
 * Makes a namespace with our search attributes, so that workflow ids, lists and task queues of one file of tests meet
 * nobody else's. It goes with its server.
 */
export async function createNamespace(connection: Connection): Promise<string> {
  const namespace = `keystride-test-${randomBytes(5).toString('hex')}`;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: msToTs('1 day'),
  });
  await waitFor(() => connection.operatorService.addSearchAttributes({ namespace, searchAttributes }), {
    what: `the namespace ${namespace}`,
  });
  return namespace;
}
