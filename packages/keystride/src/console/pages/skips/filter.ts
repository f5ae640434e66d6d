import { skipStatuses, type SkipFilter } from '../../../ledger/skip-filter.ts';
import { html, nothing, type Html } from '../../html.ts';
import { queryOf } from '../../hrefs.ts';
import type { Visit } from '../../visit.ts';

/** What an address asks for of the skips. */
export interface AskedSkips extends Pick<SkipFilter, 'fingerprint' | 'code' | 'keyPrefix' | 'status'> {
  readonly after?: string | undefined;
}

/** What the address asks for; what makes no sense does not matter. */
export function askedSkips({ query }: Pick<Visit, 'query'>): AskedSkips {
  return {
    fingerprint: query('cause'),
    code: query('code'),
    keyPrefix: query('key'),
    status: skipStatuses.find((status) => status === query('state')),
    after: query('after'),
  };
}

/** The address of a list of skips with these in it. */
export function skipsQuery({ fingerprint, code, keyPrefix, status, after }: AskedSkips): string {
  return queryOf({ cause: fingerprint, code, key: keyPrefix, state: status, after });
}

/** The search of a list: by the beginning of a key and by code. */
export function skipSearch(base: string, asked: AskedSkips, codes: readonly string[]): Html {
  const { code, keyPrefix, status, fingerprint } = asked;
  const known = code === undefined || codes.includes(code) ? codes : [code, ...codes];
  return html`<form method="get" action="${base}" class="filters" role="search" aria-label="Skips">
    ${status === undefined ? nothing : html`<input type="hidden" name="state" value="${status}" />`}
    <p class="wide">
      <label for="key">Key begins with</label>
      <input id="key" name="key" type="search" value="${keyPrefix ?? ''}" maxlength="500" />
    </p>
    <p>
      <label for="code">Code</label>
      <select id="code" name="code">
        <option value="">All codes</option>
        ${known.map((one) => html`<option ${one === code ? html`selected` : nothing}>${one}</option>`)}
      </select>
    </p>
    <p class="buttons">
      <button type="submit" class="plain">Filter</button>
      ${
        (code ?? keyPrefix ?? fingerprint) === undefined
          ? nothing
          : html`<a href="${base}${skipsQuery({ status })}">Clear</a>`
      }
    </p>
  </form>`;
}

/** The address of the first page and of the next. */
export function skipPager(base: string, asked: AskedSkips, next: string | null): Html {
  if (next === null && asked.after === undefined) return nothing;
  const first = { ...asked, after: undefined };
  return html`<p class="pager">
    ${asked.after === undefined ? nothing : html`<a href="${base}${skipsQuery(first)}">First page</a>`}
    ${next === null ? nothing : html`<a href="${base}${skipsQuery({ ...asked, after: next })}">Next page</a>`}
  </p>`;
}
