/** One line of what Prometheus scrapes. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a worker answers to Prometheus. */
export async function scrape(address: string): Promise<Sample[]> {
  const response = await fetch(`http://${address}/metrics`);
  return samplesIn(await response.text());
}

/** The samples of a text in Prometheus' format. @throws for a line that is none */
export function samplesIn(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', inner = '', value = ''] = /^([a-z_][\w:]*)(?:\{(.*)\})? (\S+)$/iu.exec(line) ?? [];
      if (name === '') throw new Error(`not a sample: ${line}`);
      const labels = Array.from(
        inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/gu),
        ([, label = '', quoted = '']) => [label, quoted],
      );
      return { name, labels: Object.fromEntries(labels) as Record<string, string>, value: Number(value) };
    });
}

/** The sum of the samples of a metric that have these labels. */
export function sumOf(samples: readonly Sample[], name: string, labels: Sample['labels'] = {}): number {
  return samples
    .filter((sample) => sample.name === name && has(sample, labels))
    .reduce((sum, { value }) => sum + value, 0);
}

function has(sample: Sample, labels: Sample['labels']): boolean {
  return Object.entries(labels).every(([label, value]) => sample.labels[label] === value);
}
