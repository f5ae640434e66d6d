import { randomBytes } from 'node:crypto';
import type { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { searchAttributeTypes } from '../contract/search-attributes.ts';
import { waitFor } from './wait-for.ts';

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
  const request = { namespace, searchAttributes: searchAttributeTypes };
  await waitFor(() => connection.operatorService.addSearchAttributes(request), {
    what: `the namespace ${namespace}`,
  });
  return namespace;
}
