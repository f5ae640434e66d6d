import type { JobDefinition } from '../../../contract/job.ts';
import { parameterFaults } from '../../../contract/parameters.ts';
import { type ParameterInput, parameterInputs, parametersOf } from '../../../operator/parameter-inputs.ts';
import type { Fields } from '../../action.ts';
import { tokenField } from '../../guards/form-token.ts';
import { html, nothing, type Html } from '../../html.ts';

/** The name of a parameter's field: apart from those that every form has. */
export const fieldOf = (parameter: string): string => `parameter.${parameter}`;

/** The parameters that somebody has given, each in a field of its own; several values make a list. */
export function givenParameters(job: JobDefinition, fields: Fields): Record<string, unknown> {
  return parametersOf(job, (name) => {
    const several = fields.all(fieldOf(name));
    return several.length > 1 ? JSON.stringify(several) : several[0];
  });
}

/** A field for each parameter of a job, with what is wrong with it where it was sent. */
export function parameterFields(
  job: JobDefinition,
  given: Fields,
  dates: 'dates' | 'expressions' = 'dates',
): Html {
  const sent = given.one(tokenField) !== undefined;
  const faults = new Map(
    sent
      ? parameterFaults(job, givenParameters(job, given)).map(({ parameter, fault }) => [
          parameter ?? '',
          fault,
        ])
      : [],
  );
  const inputs = parameterInputs(job);
  if (inputs.length === 0) return html`<p class="soft">It takes no parameters.</p>`;
  return html`${inputs.map((input) => {
    const asked =
      dates === 'expressions' && input.kind === 'date' ? { ...input, kind: 'text' as const } : input;
    return parameterField(asked, given.one(fieldOf(input.name)), faults.get(input.name));
  })}`;
}

function parameterField(input: ParameterInput, value: string | undefined, fault: string | undefined): Html {
  const id = fieldOf(input.name);
  return html`<p>
    <label for="${id}"
      >${input.name} ${input.identifying ? html`<span class="chip">identifies the instance</span>` : nothing}
      ${input.sensitive ? html`<span class="chip">sensitive</span>` : nothing}</label
    >
    ${controlOf(input, { id, value: value ?? '', wrong: fault !== undefined })}
    ${fault === undefined ? nothing : html`<span class="hint problem-text" id="${id}-fault">${input.name} ${fault}</span>`}
    <span class="hint" id="${id}-hint">${hintOf(input)}</span>
  </p>`;
}

interface Control {
  readonly id: string;
  readonly value: string;
  readonly wrong: boolean;
}

function controlOf(input: ParameterInput, { id, value, wrong }: Control): Html {
  const told = html`id="${id}" name="${id}" aria-describedby="${wrong ? `${id}-fault ` : ''}${id}-hint"
  ${wrong ? html`aria-invalid="true"` : nothing} ${input.required ? html`required` : nothing}`;
  const { kind, choices, least, most } = input;
  // It is typed anew each time: a page holds it no more than anything else does.
  if (input.sensitive)
    return html`<input ${told} type="password" autocomplete="off" spellcheck="false" maxlength="10000" />`;
  if (kind === 'choice' || kind === 'boolean')
    return html`<select ${told}>
      <option value="">${emptyChoice(input)}</option>
      ${(kind === 'boolean' ? ['true', 'false'] : choices).map(
        (choice) => html`<option ${choice === value ? html`selected` : nothing}>${choice}</option>`,
      )}
    </select>`;
  if (kind === 'integer' || kind === 'number')
    return html`<input
      ${told}
      type="number"
      value="${value}"
      step="${kind === 'integer' ? '1' : 'any'}"
      ${least === null ? nothing : html`min="${least}"`}
      ${most === null ? nothing : html`max="${most}"`}
      placeholder="${input.byDefault ?? ''}"
    />`;
  return html`<input
    ${told}
    type="${kind === 'date' ? 'date' : 'text'}"
    value="${value}"
    maxlength="10000"
    placeholder="${input.byDefault ?? (kind === 'dateTime' ? '2027-01-31T02:00:00Z' : '')}"
  />`;
}

function emptyChoice({ byDefault, required }: ParameterInput): string {
  if (byDefault !== null) return `${byDefault} (default)`;
  return required ? 'Choose one' : 'None';
}

function hintOf({ description, byDefault, required, kind, least, most }: ParameterInput): string {
  const bounds =
    least === null && most === null
      ? []
      : [least === null ? `at most ${most}` : most === null ? `at least ${least}` : `${least} to ${most}`];
  const empty = byDefault !== null ? [`if left empty: ${byDefault}`] : required ? [] : ['may be left empty'];
  return [
    ...(description === '' ? [] : [description]),
    ...(kind === 'list' ? ['with commas between'] : []),
    ...bounds,
    ...empty,
  ].join('; ');
}
