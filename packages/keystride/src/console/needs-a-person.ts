import { reasonOf } from '../operator/explain.ts';
import { keystride } from '../operator/called-as.ts';
import type { Banner } from './banners.ts';
import type { Services } from './services.ts';

/** How long Temporal may take to say that it is there, in milliseconds. */
const answersWithin = 1_500;

/** What needs a person, on every page. */
export async function needsAPerson({ session }: Pick<Services, 'session'>): Promise<readonly Banner[]> {
  return temporalAway(session);
}

async function temporalAway({ client, config }: Services['session']): Promise<Banner[]> {
  try {
    await client.withDeadline(Date.now() + answersWithin, () => client.workflowService.getSystemInfo({}));
    return [];
  } catch (error) {
    return [
      {
        kind: 'problem',
        what: `Temporal at ${config.temporal.address} does not answer: ${reasonOf(error)}`,
        todo: `Start it, or run ${keystride} dev --detach`,
      },
    ];
  }
}
