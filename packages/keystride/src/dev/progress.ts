/** One line of progress of one part. */
export interface ProgressEvent {
  /** The part that speaks, or `stack`. */
  part: string;
  text: string;
}

/** Receives progress; must not throw. */
export type OnProgress = (event: ProgressEvent) => void;

/** Speaks for one part. */
export interface Reporter {
  /** A slow step begins: says what and why. */
  step(text: string): void;
  /** A fact that somebody may want to know. */
  note(text: string): void;
  /** The part is up: says where, and how long it took since the reporter was made. */
  up(text: string): void;
}

/** A reporter for one part whose clock starts now. */
export function reporterOf(part: string, onProgress: OnProgress): Reporter {
  const startedAt = performance.now();
  return {
    step: (text) => onProgress({ part, text: `${text} …` }),
    note: (text) => onProgress({ part, text }),
    up: (text) => onProgress({ part, text: `${text}  (${seconds(performance.now() - startedAt)})` }),
  };
}

/** A progress event as a line of text, parts in one column. */
export function progressText(event: ProgressEvent): string {
  return `${event.part.padEnd(15)} ${event.text}`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
