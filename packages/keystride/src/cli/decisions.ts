import { decisionText } from '../contract/progress.ts';
import { plain, time } from '../operator/format.ts';
import type { LiveProgress } from '../operator/heartbeats.ts';

/** The last decisions of the steps that run, or of the last one, a line each. */
export function decisionLines({ steps }: Pick<LiveProgress, 'steps'>, most: number): string[] {
  const running = steps.filter(({ status }) => status === 'running');
  const shown = running.length > 0 ? running : steps.slice(-1);
  return shown
    .flatMap(({ decisions = [] }) => decisions)
    .toSorted((a, b) => a.at.localeCompare(b.at))
    .slice(-most)
    .map((decision) => `decided: ${time(decision.at)} ${plain(decisionText(decision), 300)}`);
}
