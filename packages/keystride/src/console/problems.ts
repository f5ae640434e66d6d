import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { safeMessage } from '../stores/safe-message.ts';
import { CommandError } from '../operator/command-error.ts';
import { explain } from '../operator/explain.ts';
import type { ConsoleEnv } from './environment.ts';
import { isForPrograms } from './guards/admission.ts';
import { Refusal } from './guards/refusal.ts';
import { html, nothing } from './html.ts';
import { bareLayout, layout } from './layout.ts';
import type { Services } from './services.ts';

/** What went wrong, for a person and for a program. */
interface ToldProblem {
  readonly status: ContentfulStatusCode;
  readonly type: string;
  readonly what: string;
  readonly where?: string | undefined;
  readonly todo: string;
}

/** What a page is made with, for whoever may see one. */
interface Around {
  readonly services: Pick<Services, 'banners'>;
  readonly readOnly: boolean;
}

/**
 * Says what went wrong, where, and what to do; a page for people, JSON below `/api`. Never a stack, never a raw error.
 * Whoever may not come in sees nothing else.
 */
export async function answerProblem(
  error: Error,
  context: Context<ConsoleEnv>,
  { services, readOnly }: Around,
): Promise<Response> {
  const { status, type, what, where, todo } = toldProblem(error);
  const url = new URL(context.req.url);
  if (isForPrograms(url.pathname))
    return context.json({ error: { type, message: what, ...(where && { where }), todo } }, status);
  const title = status === 404 ? 'Not found' : 'That did not work';
  const problem = html`<div class="panel">
    <p class="notice problem" role="alert"><strong>${what}</strong>${where ? html` (${where})` : nothing}</p>
    <p class="preserve">${todo}</p>
    <p><a href="/">All runs</a></p>
  </div>`;
  const who = context.get('who') as string | undefined;
  if (who === undefined) return context.html(bareLayout(title, problem), status);
  const banners = await services.banners.read();
  const visit = { who, readOnly, url };
  return context.html(layout({ title, parts: { problem }, visit, live: false, banners }), status);
}

/** Types of errors that say what a request asks for, rather than that something is away. */
const statuses: Readonly<Record<string, ContentfulStatusCode>> = {
  NotFound: 404,
  UnknownJob: 404,
  Usage: 422,
  JobParametersInvalid: 422,
  ControlRefused: 409,
  JobExecutionAlreadyRunning: 409,
  JobInstanceAlreadyComplete: 409,
  NothingToRedrive: 409,
  RedriveRefused: 409,
  OtherProject: 409,
};

function toldProblem(error: unknown): ToldProblem {
  if (error instanceof Refusal)
    return { status: error.status, type: 'Refused', what: error.message, todo: error.todo };
  if (error instanceof HTTPException)
    return { status: error.status, type: 'Refused', what: error.message, todo: 'Correct the request.' };
  const explained = explain(error);
  if (explained instanceof CommandError) {
    const { type, what, where, todo } = explained;
    return { status: statuses[type] ?? 503, type, what, where, todo };
  }
  return {
    status: 500,
    type: 'Defect',
    what: safeMessage(explained),
    todo: 'This is a defect of keystride; the same by the command, with --debug, shows where.',
  };
}
