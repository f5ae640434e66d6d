import { z } from 'zod';
import {
  chunks,
  chunkStep,
  defineJob,
  listReader,
  type ParametersOf,
  type RegisteredJob,
  registerJob,
  sensitive,
  SkipItem,
  type StepContext,
  verificationStep,
} from 'keystride';

/** What its steps want to be given: whoever has only its hash is found out. */
export const theMember = 'canary-of-a-member';

/** Items for one member, whom nobody may know. */
export const memberItems = defineJob({
  name: 'memberItems',
  description: 'Items for one member, whom nobody may know',
  parameters: z.object({
    memberId: sensitive(z.string().regex(/^canary/u, 'must begin with canary')),
    pin: sensitive(z.object({ digits: z.string() }))
      .optional()
      .meta({ identifying: false }),
    run: z.int().default(1),
  }),
  steps: { pass: chunkStep({ skipLimit: 1, chunkSize: 10 }), compare: verificationStep() },
});

type Told = StepContext<ParametersOf<typeof memberItems>>;

/** One item of twenty is set aside, with what the step knows of the member. */
export function createMemberItems(): RegisteredJob {
  const known = ({ parameters: { memberId } }: Told) => (memberId === theMember ? 'KNOWN' : 'UNKNOWN');
  return registerJob(memberItems, {
    pass: (context) =>
      chunks({
        reader: listReader(20, (index) => index),
        processor: (item) => {
          if (item === 3) throw new SkipItem(known(context), 'as told');
          return item;
        },
        writer: { write: () => Promise.resolve() },
      }),
    compare: (context) => ({
      comparePage: () =>
        Promise.resolve({
          position: null,
          compared: 1,
          differences: known(context) === 'KNOWN' ? [] : [{ told: 'another member' }],
        }),
    }),
  });
}
