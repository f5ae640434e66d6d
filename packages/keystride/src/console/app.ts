import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { largestBody } from './action.ts';
import { assetNamed } from './assets.ts';
import type { ConsoleEnv } from './environment.ts';
import { admit } from './guards/admission.ts';
import { expectFormToken, formTokenOf, tokenHeader } from './guards/form-token.ts';
import { expectHost } from './guards/host.ts';
import { expectOwnOrigin } from './guards/origin.ts';
import { refuseChanges } from './guards/read-only.ts';
import { Refusal } from './guards/refusal.ts';
import { Seal } from './guards/sealed.ts';
import { Sessions } from './guards/session.ts';
import type { Hub } from './live/hub.ts';
import { answerProblem } from './problems.ts';
import type { ConsoleParts } from './services.ts';
import { addSignIn } from './sign-in.ts';
import type { Content } from './view.ts';

/** Answers for the console. Every request passes the same guards, in this order, before anybody looks at its path. */
export function consoleApp(
  { settings, ...services }: ConsoleParts,
  contents: readonly Content[],
  { hub, port }: { readonly hub: Hub; readonly port: () => number },
): Hono<ConsoleEnv> {
  const app = new Hono<ConsoleEnv>();
  const seal = new Seal();
  const secure = settings.url?.startsWith('https:') ?? false;
  const sessions = new Sessions(seal, { secure, port });
  app.onError((error, context) => answerProblem(error, context, { services, readOnly: settings.readOnly }));
  app.notFound(() => {
    throw new Refusal(404, 'there is no such page', 'Look at the list of runs.');
  });
  app.use(
    // Under `no-referrer` browsers hide the origin of a form, too, which the guard of origins has to see.
    secureHeaders({ contentSecurityPolicy, referrerPolicy: 'same-origin', strictTransportSecurity: secure }),
    async (context, next) => {
      context.header('cache-control', 'no-store');
      await next();
    },
    expectHost(settings, port),
    expectOwnOrigin(settings.url),
    bodyLimit({ maxSize: largestBody, onError: refuseLargeBody }),
  );
  app.get('/assets/:name', (context) => {
    const asset = assetNamed(context.req.param('name'));
    return asset ? context.body(asset.text, 200, { 'content-type': asset.type }) : context.notFound();
  });
  app.use(sessions.middleware());
  addSignIn(app, { settings, sessions, seal });
  app.use(admit(settings), refuseChanges(settings.readOnly), expectFormToken(seal));
  // Whoever calls the API without the console's own token fetches that of their session here.
  app.get('/api/session', (context) =>
    context.json({
      who: context.get('who'),
      readOnly: settings.readOnly,
      header: tokenHeader,
      token: formTokenOf(seal, context.get('session')),
    }),
  );
  const making = { services, readOnly: settings.readOnly, hub, seal };
  for (const add of contents) add(app, making);
  return app;
}

const contentSecurityPolicy = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
  formAction: ["'self'"],
  frameAncestors: ["'none'"],
  baseUri: ["'none'"],
};

function refuseLargeBody(): never {
  throw new Refusal(413, 'the request is too large', `Send at most ${largestBody / 1024} KiB.`);
}
