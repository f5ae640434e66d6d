import type { HttpBindings } from '@hono/node-server';
import proto from '@temporalio/proto';
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import { HTTPException } from 'hono/http-exception';
import type { PayloadCodec } from '@temporalio/common';
import { showsToken } from '../console/guards/admission.ts';
import { expectHost } from '../console/guards/host.ts';
import { Refusal } from '../console/guards/refusal.ts';
import type { CodecServerSettings } from '../settings/codec-server-settings.ts';
import { Undecipherable } from '../settings/data-converter.ts';

const { Payloads } = proto.temporal.api.common.v1;

/** A page of a history is at most 4 MiB, and a third larger as JSON. In bytes. */
export const largestRequest = 8 * 1024 * 1024;

/** What the codec server answers with. */
export interface CodecServerParts {
  readonly settings: CodecServerSettings;
  readonly codec: PayloadCodec;
  /** Whose payloads it knows the keys of. */
  readonly namespace: string;
}

/**
 * Temporal's remote codec: `POST /encode` and `POST /decode` take and give payloads as JSON. Every request passes the same
 * guards, in this order, before anything is decrypted.
 *
 * @param port on which it listens
 */
export function codecApp(
  { settings, codec, namespace }: CodecServerParts,
  port: () => number,
): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.onError((error, context) => {
    const { status, message } = answerTo(error);
    return context.json({ message }, status);
  });
  app.notFound(() => {
    throw new Refusal(404, 'there is no such page', 'It answers POST /encode and POST /decode.');
  });
  app.use(
    async (context, next) => {
      context.header('cache-control', 'no-store');
      await next();
    },
    expectHost(settings, port, { name: 'codec server', variable: 'KEYSTRIDE_CODEC_SERVER_URL' }),
    expectOrigin(settings.origins),
    cors({
      origin: [...settings.origins],
      allowMethods: ['POST'],
      allowHeaders: ['content-type', 'authorization', 'x-namespace'],
      credentials: true,
    }),
    expectToken(settings.token),
    expectNamespace(namespace),
    bodyLimit({ maxSize: largestRequest, onError: refuseLarge }),
  );
  for (const what of ['encode', 'decode'] as const)
    app.post(`/${what}`, async (context) => {
      const payloads = payloadsOf(await context.req.text());
      const answer = Payloads.fromObject({ payloads: await codec[what](payloads) });
      return context.json(Payloads.toObject(answer, { bytes: String }));
    });
  return app;
}

/** A page that may not ask is not only kept from reading the answer: nothing is done for it. Programs send no origin. */
function expectOrigin(origins: readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    const origin = context.req.header('origin');
    if (origin !== undefined && !origins.includes(origin))
      throw new Refusal(
        403,
        'the page that asks is not the Temporal UI',
        'Name its origin in KEYSTRIDE_CODEC_SERVER_ORIGINS, or its address in TEMPORAL_UI_URL.',
      );
    await next();
  };
}

function expectToken(token: string | undefined): MiddlewareHandler {
  return async (context, next) => {
    if (token !== undefined && !showsToken(context, token))
      throw new Refusal(
        401,
        'the codec server does not know who asks',
        "Send the header `Authorization: Bearer` with its token; the Temporal CLI does with --codec-auth 'Bearer TOKEN'.",
      );
    await next();
  };
}

function expectNamespace(namespace: string): MiddlewareHandler {
  return async (context, next) => {
    const asked = context.req.header('x-namespace') ?? namespace;
    if (asked !== namespace)
      throw new Refusal(
        403,
        'the codec server is not that of this namespace',
        `It serves ${namespace}: name another one in TEMPORAL_NAMESPACE.`,
      );
    await next();
  };
}

function refuseLarge(): never {
  throw new Refusal(
    413,
    'the request is too large',
    `Send at most ${largestRequest / 1024 / 1024} MiB at a time.`,
  );
}

/** @throws Refusal for what is no list of payloads */
function payloadsOf(text: string) {
  try {
    const body = JSON.parse(text) as { [name: string]: unknown };
    if (Array.isArray(body['payloads'])) return Payloads.fromObject(body).payloads;
  } catch {
    // What it is not is said below, without what it is.
  }
  throw new Refusal(400, 'the request is not like {"payloads": […]}', 'Send payloads as Temporal does.');
}

function answerTo(error: Error) {
  if (error instanceof Refusal) return { status: error.status, message: `${error.message}. ${error.todo}` };
  if (error instanceof HTTPException) return { status: error.status, message: error.message };
  if (error instanceof Undecipherable) return { status: 400 as const, message: error.message };
  return { status: 500 as const, message: 'a defect of the codec server' };
}
