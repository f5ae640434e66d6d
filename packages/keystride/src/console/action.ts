import type { Context, Hono } from 'hono';
import { CommandError } from '../operator/command-error.ts';
import { explain } from '../operator/explain.ts';
import { ToldError } from '../contract/told-error.ts';
import type { ConsoleEnv } from './environment.ts';
import { formTokenOf, tokenField } from './guards/form-token.ts';
import { Refusal } from './guards/refusal.ts';
import { html, nothing, type Html } from './html.ts';
import { layout, type SectionName } from './layout.ts';
import { patiently, type Content, type Making } from './view.ts';
import { visitOf, type Place, type Visit } from './visit.ts';

/** What a form or the API was sent with: texts, several where a field may be given several times. */
export interface Fields {
  /** Without blanks around it; undefined for what is missing or empty. */
  one(name: string): string | undefined;
  all(name: string): readonly string[];
}

/** What has come of a change. */
export interface Done {
  /** The page that shows it. */
  readonly to: string;
  /** What the API answers. */
  readonly result: unknown;
}

/** A change: a page that says what it will do and asks for what it needs, and the deed. The API has the deed alone. */
export interface Action<Data> {
  /** The route of both, such as `/runs/:id/pause`. */
  readonly path: string;
  readonly section: SectionName;
  readonly title: (data: Data, place: Place) => string;
  /** What the page is made of. */
  readonly read: (visit: Visit) => Promise<Data>;
  /** What will be done, and the fields. `given` is what the person has filled in, where it was not taken. */
  readonly form: (data: Data, given: Fields, visit: Visit) => Html;
  /** The words of the button. */
  readonly button: (data: Data) => string;
  /** Where to go instead. */
  readonly back: (visit: Visit) => string;
  /** @throws ToldError what the person is to correct, or why it cannot be done: the page shows it beside the form */
  readonly act: (fields: Fields, visit: Visit) => Promise<Done>;
}

/** The longest request that changes something, in bytes. */
export const largestBody = 256 * 1024;

/** The page with the form, what it sends to, and the same for programs. */
export function action<Data>(done: Action<Data>): Content {
  return (app, making) => addAction(app, done, making);
}

function addAction<Data>(
  app: Hono<ConsoleEnv>,
  done: Action<Data>,
  { services, readOnly, seal }: Making,
): void {
  const page = async (context: Context<ConsoleEnv>, given: Fields, problem?: CommandError) => {
    const visit = visitOf(context, services, { readOnly });
    const data = await patiently(visit, done.read);
    const token = formTokenOf(seal, context.get('session'));
    return layout({
      title: done.title(data, visit),
      section: done.section,
      parts: { form: formOf(done, data, { given, visit, token, problem }) },
      visit,
      live: false,
      banners: await services.banners.read(),
    });
  };
  app.get(done.path, async (context) => context.html(await page(context, fieldsOf(context.req.queries()))));
  app.post(done.path, async (context) => {
    const given = fieldsOf(await context.req.parseBody({ all: true }));
    try {
      const { to } = await done.act(given, visitOf(context, services, { readOnly }));
      services.banners.expire();
      return context.redirect(to, 303);
    } catch (error) {
      const explained = explain(error);
      if (!(explained instanceof CommandError)) throw error;
      return context.html(await page(context, given, explained), 422);
    }
  });
  app.post(`/api${done.path}`, async (context) => {
    const { result } = await done.act(
      fieldsOf(await jsonBody(context)),
      visitOf(context, services, { readOnly }),
    );
    services.banners.expire();
    return context.json(result as object);
  });
}

interface FormChoice {
  readonly given: Fields;
  readonly visit: Visit;
  readonly token: string;
  readonly problem: CommandError | undefined;
}

function formOf<Data>(done: Action<Data>, data: Data, { given, visit, token, problem }: FormChoice): Html {
  return html`<form method="post" class="panel form">
    <input type="hidden" name="${tokenField}" value="${token}" />
    ${problem === undefined ? nothing : problemNotice(problem)} ${done.form(data, given, visit)}
    <p class="buttons">
      ${
        visit.readOnly
          ? html`<strong>This console is read-only: nothing can be changed here.</strong>`
          : html`<button type="submit">${done.button(data)}</button>`
      }
      <a class="quiet" href="${done.back(visit)}">Back, without a change</a>
    </p>
  </form>`;
}

/** Why nothing was done. What a person is to correct says it all; of anything else there is something to do. */
function problemNotice({ message, todo, cause }: CommandError): Html {
  const saysAll = cause instanceof ToldError;
  return html`<p class="notice problem" role="alert">
    <strong>${message}</strong>${saysAll ? nothing : html`<span class="todo preserve">${todo}</span>`}
  </p>`;
}

/** Values of a form, a query or JSON, as texts. What is neither text, number nor truth value counts as missing. */
export function fieldsOf(values: Readonly<Record<string, unknown>>): Fields {
  const all = (name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return (Array.isArray(value) ? (value as unknown[]) : [value]).flatMap(textOf);
  };
  return { all, one: (name) => all(name)[0] };
}

function textOf(value: unknown): string[] {
  if (typeof value === 'number' || typeof value === 'boolean') return [String(value)];
  const text = typeof value === 'string' ? value.trim() : '';
  return text === '' ? [] : [text];
}

async function jsonBody({ req }: Context): Promise<Record<string, unknown>> {
  const body: unknown = await req.json().catch(() => undefined);
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body };
  throw new Refusal(
    400,
    'the request has no JSON object',
    'Send one, with `content-type: application/json`.',
  );
}
