import type { Server } from 'node:http';
import { createStub } from '../application.ts';
import { answerCall, type CallContext } from './call.ts';
import type { Bodies } from './bodies.ts';
import { changeBehaviour, type Behaviour } from './settings.ts';
import { Statistics } from './statistics.ts';
import { Turns } from './turns.ts';

const DOCUMENT_PATH = /^\/documents\/(.+)\/sentences(?:\?.*)?$/;

/** A stub of the legacy API, not listening yet. */
export function createLegacyApi(seed: string, bodies: Bodies, initial: Behaviour): Server {
  const statistics = new Statistics();
  let behaviour = initial;
  const turns = new Turns(() => behaviour.maxConcurrent ?? Number.POSITIVE_INFINITY);
  const context: CallContext = { seed, bodies, statistics, turns, behaviour: () => behaviour };
  return createStub({
    call: (request, response) => {
      const ticketKey = request.method === 'GET' ? ticketKeyOf(request.url ?? '') : undefined;
      return ticketKey === undefined ? undefined : answerCall(context, request, response, ticketKey);
    },
    report: () => statistics.report(),
    reset: () => statistics.reset(),
    configure: (change) => {
      behaviour = changeBehaviour(behaviour, change);
      turns.next();
      return { ...behaviour, overrides: Object.keys(behaviour.overrides).length };
    },
  });
}

/** The ticket key of a document's path, which is one segment, encoded; undefined for any other path. */
function ticketKeyOf(url: string): string | undefined {
  const encoded = DOCUMENT_PATH.exec(url)?.[1];
  if (encoded === undefined || encoded.includes('/')) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
