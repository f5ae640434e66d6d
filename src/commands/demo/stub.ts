import { CommandError, withoutCredentials } from 'keystride/command';
import { defaultBehaviour } from '../../stubs/legacy-api/settings.ts';
import type { StatisticsReport } from '../../stubs/legacy-api/statistics.ts';

/** What the stub of the legacy API is to do during a demo. */
export interface StubBehaviour {
  /** Milliseconds from a call to its answer. */
  readonly latency: number;
  /** Shares of the documents, 0 to 1. */
  readonly notFound?: number;
  readonly malformed?: number;
  readonly unsupported?: number;
  /** A fault or a size for single ticket keys. */
  readonly overrides?: Readonly<Record<string, string>>;
}

/** A key that no directory has a file for, while a stub that makes documents up has a document for every key. */
const unlikelyKey = 'keystride-demo-probe/no-such-document';

/** The remote control of the stub of the legacy API. */
export class Stub {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url.replace(/\/$/, '');
  }

  /** Sets all of the behaviour; whatever is not named does not happen. */
  async configure(behaviour: StubBehaviour): Promise<void> {
    await this.#ask('POST', '/configure', { ...defaultBehaviour, ...behaviour });
  }

  /** Forgets all calls. */
  async reset(): Promise<void> {
    await this.#ask('POST', '/reset');
  }

  async statistics(): Promise<StatisticsReport> {
    return (await this.#ask('GET', '/stats')).json() as Promise<StatisticsReport>;
  }

  /**
   * Whether it has these documents and, for the files of a directory, no others. It answers without faults and at once
   * from then on, until it is configured.
   */
  async serves(ticketKeys: readonly string[], madeUp: boolean): Promise<boolean> {
    await this.configure({ latency: 0 });
    if ((await this.#has(unlikelyKey)) !== madeUp) return false;
    const found = await Promise.all(ticketKeys.map((key) => this.#has(key)));
    return found.every(Boolean);
  }

  async #has(ticketKey: string): Promise<boolean> {
    const response = await fetch(`${this.#url}/documents/${encodeURIComponent(ticketKey)}/sentences`);
    await response.body?.cancel();
    return response.ok;
  }

  async #ask(method: string, path: string, body?: unknown): Promise<Response> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      signal: AbortSignal.timeout(10_000),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw this.#noStub('does not answer', error);
    });
    if (!response.ok) throw this.#noStub(`answered ${method} ${path} with ${response.status}`);
    return response;
  }

  #noStub(what: string, cause?: unknown): CommandError {
    return new CommandError(
      {
        what: `the legacy API ${what}: the demo needs the stub, whose latency and faults it sets`,
        where: withoutCredentials(this.#url),
        todo: 'Unset LEGACY_API_URL to have the stub started.',
      },
      { cause },
    );
  }
}
