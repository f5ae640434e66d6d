import { createMessageProvider } from '../../src/stubs/message-provider/application.ts';
import type { KeyedMessage, StatisticsReport } from '../../src/stubs/message-provider/mailbox.ts';
import { changeBehaviour, defaultBehaviour } from '../../src/stubs/message-provider/settings.ts';
import { listening, type Listening } from './listening.ts';

/** Starts a stub of the message provider in this process. */
export function startMessageProvider(behaviour: object = {}): Promise<Listening> {
  return listening(createMessageProvider('test', changeBehaviour(defaultBehaviour, behaviour)));
}

/** What tests ask of a provider, and tell it. */
export class Provider {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async statistics(): Promise<StatisticsReport> {
    return (await this.#ask('GET', '/stats')) as StatisticsReport;
  }

  async messages(): Promise<KeyedMessage[]> {
    return (await this.#ask('GET', '/messages')) as KeyedMessage[];
  }

  /** Forgets everything and behaves like this from now on. */
  async begin(behaviour: object = {}): Promise<void> {
    await this.#ask('POST', '/reset');
    await this.configure({ ...defaultBehaviour, ...behaviour });
  }

  async configure(behaviour: object): Promise<void> {
    await this.#ask('POST', '/configure', behaviour);
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(this.#url + path, { method, ...(body && { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}
