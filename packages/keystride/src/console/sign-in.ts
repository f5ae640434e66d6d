import type { Hono } from 'hono';
import type { ConsoleSettings } from '../settings/console-settings.ts';
import { fieldsOf } from './action.ts';
import type { ConsoleEnv, Session } from './environment.ts';
import { longestName, nameOf, signInPath } from './guards/admission.ts';
import { formTokenOf, expectFormToken, tokenField } from './guards/form-token.ts';
import { isSameSecret, type Seal } from './guards/sealed.ts';
import type { Sessions } from './guards/session.ts';
import { html, nothing, type Html } from './html.ts';
import { bareLayout } from './layout.ts';

interface SignIn {
  readonly settings: ConsoleSettings;
  readonly sessions: Sessions;
  readonly seal: Seal;
}

/** Where a browser shows the console's token, which it cannot send in a header by itself. */
export function addSignIn(app: Hono<ConsoleEnv>, { settings: { token }, sessions, seal }: SignIn): void {
  if (token === undefined) return;
  const page = (session: Session, to: string, problem?: string) =>
    bareLayout('Sign in', signInForm(formTokenOf(seal, session), to, problem));
  app.get(signInPath, (context) =>
    context.html(page(context.get('session'), pathOf(context.req.query('to')))),
  );
  app.post(signInPath, expectFormToken(seal), async (context) => {
    const fields = fieldsOf(await context.req.parseBody());
    const to = pathOf(fields.one('to'));
    const who = nameOf(fields.one('who'));
    if (who === undefined || !isSameSecret(fields.one('secret') ?? '', token))
      return context.html(
        page(context.get('session'), to, 'The token is not the one of this console, or the name is missing.'),
        401,
      );
    sessions.begin(context, { who });
    return context.redirect(to, 303);
  });
}

/** A page of ours; never another site, whatever the address says. */
function pathOf(to: string | undefined): string {
  return to !== undefined && /^\/(?![/\\])/u.test(to) ? to : '/';
}

function signInForm(token: string, to: string, problem: string | undefined): Html {
  return html`<form method="post" class="panel form">
    <input type="hidden" name="${tokenField}" value="${token}" />
    <input type="hidden" name="to" value="${to}" />
    ${problem === undefined ? nothing : html`<p class="notice problem" role="alert">${problem}</p>`}
    <p>
      <label for="who">Your name</label>
      <input id="who" name="who" required maxlength="${longestName}" autocomplete="username" />
      <span class="hint">It stands beside everything that you do here.</span>
    </p>
    <p>
      <label for="secret">Token of this console</label>
      <input id="secret" name="secret" type="password" required autocomplete="current-password" />
      <span class="hint">What KEYSTRIDE_CONSOLE_TOKEN is set to.</span>
    </p>
    <p class="buttons"><button type="submit">Sign in</button></p>
  </form>`;
}
