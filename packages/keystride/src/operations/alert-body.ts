import type { Alert, AlertedStep, AlertFormat, DeadLetter, JobAlert } from '../contract/alerts.ts';
import { cutText } from '../contract/errors.ts';

/** An alert as a webhook takes it. */
export function alertBody(alert: Alert, format: AlertFormat): unknown {
  if (format === 'json') return alert;
  return { text: (alert.kind === 'deadLetter' ? letterLines(alert) : alertLines(alert)).join('\n') };
}

const verbs: Record<JobAlert['kind'], string> = {
  failed: ':red_circle: failed',
  holding: ':large_yellow_circle: holds',
  notStarted: ':red_circle: was not started',
};

function alertLines(alert: JobAlert): string[] {
  const where = [
    alert.step === null ? '' : `step ${alert.step}`,
    alert.partitions.length === 0 ? '' : `partition ${alert.partitions.join(', ')}`,
  ].filter(Boolean);
  return [
    `*${escaped(alert.instance)}* ${verbs[alert.kind]}${where.length > 0 ? ` in ${escaped(where.join(', '))}` : ''}`,
    `> ${escaped(cutText(alert.reason))}`,
    ...alert.steps.map(stepLine),
    ...alert.next.map((line) => `• ${escaped(line)}`),
    ...linkLine(alert),
  ];
}

function letterLines(letter: DeadLetter): string[] {
  const { instance, step, partition, key, phase, code, attempts } = letter;
  return [
    `*${escaped(instance)}* :red_circle: item ${escaped(key)} failed`,
    `> ${escaped(cutText(letter.message))}`,
    `step ${escaped(step)}, partition ${partition}, ${phase}, ${escaped(code)}, attempt ${attempts}`,
    ...linkLine(letter),
  ];
}

function stepLine({ step, status, read, written, filtered, skipped, partitions }: AlertedStep): string {
  const figures = [
    `read ${read}`,
    `written ${written}`,
    `filtered ${filtered}`,
    `skipped ${skipped}`,
    ...(partitions.total > 1 ? [`partitions ${partitions.done}/${partitions.total}`] : []),
  ];
  return `${escaped(step)} ${escaped(status)}: ${figures.join(' · ')}`;
}

function linkLine({ uiUrl }: Alert): string[] {
  return uiUrl === null ? [] : [`<${uiUrl}|Temporal UI>`];
}

/** Keys and messages are anybody's text: it must neither mention people nor make links. */
function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/\s+/gu, ' ');
}
