import type { ControlRequest } from '../contract/messages.ts';
import type { Fields } from './action.ts';
import { html, nothing, type Html } from './html.ts';
import type { Visit } from './visit.ts';

/** The longest reason that is taken, in characters. */
const longestReason = 500;

/** What somebody says of a change that is made here: all changes of the console are made with it. */
export function signed(fields: Fields, _visit: Pick<Visit, 'who'>): ControlRequest {
  const reason = fields.one('reason')?.slice(0, longestReason);
  return reason === undefined ? {} : { reason };
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
