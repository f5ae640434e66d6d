import type { Authorship } from '../contract/audit.ts';
import { ToldError } from '../contract/told-error.ts';
import type { Fields } from './action.ts';
import { html, nothing, type Html } from './html.ts';
import type { Visit } from './visit.ts';

/** The longest reason that is taken, in characters. */
const longestReason = 500;

/** Who changes something here, and why: all changes of the console are made with it. */
export function signed(fields: Fields, { who }: Pick<Visit, 'who'>): Authorship {
  const reason = fields.one('reason')?.slice(0, longestReason);
  return { by: { operator: who, from: 'console' }, ...(reason !== undefined && { reason }) };
}

/**
 * The same, of a change that wants a reason.
 * @throws ToldError without one
 */
export function signedWithReason(
  fields: Fields,
  visit: Pick<Visit, 'who'>,
): Authorship & { readonly reason: string } {
  const { by, reason } = signed(fields, visit);
  if (reason === undefined) throw new ToldError('Say why: a reason is missing.');
  return { by, reason };
}

/** The field that asks why. */
export function reasonField(given: Fields, required: boolean, example: string): Html {
  return html`<p>
    <label for="reason"
      >Reason${required ? nothing : html` <span class="soft">(may be left out)</span>`}</label
    >
    <input
      id="reason"
      name="reason"
      value="${given.one('reason') ?? ''}"
      maxlength="${longestReason}"
      placeholder="${example}"
      ${required ? html`required` : nothing}
    />
    <span class="hint">Shown wherever the state is, and kept with your name.</span>
  </p>`;
}
