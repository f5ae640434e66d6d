import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import { reasonOf } from '../../operator/explain.ts';
import type { ConsoleEnv } from '../environment.ts';
import type { Html } from '../html.ts';
import type { Hub, Look, Watched } from './hub.ts';

type Parts = Readonly<Record<string, Html>>;

/**
 * Sends the parts of a page whenever they have changed, and a beat when they have not: the time of the last look is shown.
 * Event `parts` has an object of HTML by the names of the parts, `beat` nothing, `problem` a reason.
 */
export function streamParts(context: Context<ConsoleEnv>, hub: Hub, watched: Watched<Parts>): Response {
  return streamSSE(context, async (stream) => {
    const sent = new Map<string, string>();
    const queue: Look<unknown>[] = [];
    let wake = () => {};
    const end = hub.watch(watched, (look) => {
      // A browser that takes nothing is told the newest, whenever it does.
      queue.splice(0, queue.length, look);
      wake();
    });
    stream.onAbort(() => {
      end();
      wake();
    });
    while (!stream.aborted) {
      const look = queue.shift();
      if (look) await stream.writeSSE(await eventOf(look as Look<Parts>, sent));
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  });
}

async function eventOf(
  look: Look<Parts>,
  sent: Map<string, string>,
): Promise<{ event: string; data: string }> {
  if ('failed' in look) return { event: 'problem', data: JSON.stringify(reasonOf(look.failed)) };
  const changed: Record<string, string> = {};
  for (const [name, part] of Object.entries(look.made)) {
    const text = String(await part);
    if (sent.get(name) === text) continue;
    sent.set(name, text);
    changed[name] = text;
  }
  return Object.keys(changed).length === 0
    ? { event: 'beat', data: '' }
    : { event: 'parts', data: JSON.stringify(changed) };
}
