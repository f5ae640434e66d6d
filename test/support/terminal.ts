import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { type Program, programOf } from './debian.ts';
import { waitFor } from './stack.ts';
import { picture } from './chromium.ts';

const size = { columns: 118, rows: 34 };

/** A terminal as a person has it: bash in tmux, in which `keystride` is a command. */
export class Terminal {
  readonly #socket = `keystride-test-${process.pid}`;
  readonly #home = mkdtempSync(path.join(tmpdir(), 'keystride-terminal-'));
  readonly #tmux: Program = programOf(['tmux'], { name: 'tmux', file: 'usr/bin/tmux' });

  /** @param environment of the shell */
  constructor(environment: NodeJS.ProcessEnv) {
    const bin = path.join(this.#home, 'bin');
    mkdirSync(bin);
    symlinkSync(
      path.join(import.meta.dirname, '../../packages/keystride/src/cli/main.ts'),
      path.join(bin, 'keystride'),
    );
    const env = {
      // The command says how it was called, and npm would have called it otherwise. Whoever runs the tests may want no
      // colours, and Node says on every screen that it has been told both.
      ...Object.fromEntries(
        Object.entries(environment).filter(([name]) => !name.startsWith('npm_') && name !== 'NO_COLOR'),
      ),
      ...{ HOME: this.#home, TERM: 'xterm-256color', LANG: 'C.UTF-8', FORCE_COLOR: '1' },
      PATH: [bin, path.dirname(process.execPath), process.env['PATH']].join(':'),
    };
    const at = ['-x', String(size.columns), '-y', String(size.rows)];
    this.#do(['-f', '/dev/null', 'new-session', '-d', ...at, 'bash --noprofile --norc'], env);
    this.type("PS1='$ '");
    this.clear();
  }

  /** Types a line, and ends it. */
  type(line: string): void {
    this.#do(['send-keys', '-l', line]);
    this.key('Enter');
  }

  /** Presses a key, as tmux names it: `C-c`, `Enter`. */
  key(name: string): void {
    this.#do(['send-keys', name]);
  }

  /** Makes the screen empty, and forgets what has scrolled away. */
  clear(): void {
    this.type('clear');
  }

  /** What stands on the screen. */
  screen(colours = false): string {
    return this.#do(['capture-pane', '-p', ...(colours ? ['-e'] : [])]);
  }

  /** Waits until the screen shows this. @returns the screen */
  async until(expected: RegExp, timeoutMs = 90_000): Promise<string> {
    let screen = '';
    const shown = () => {
      screen = this.screen();
      return expected.test(screen) && screen;
    };
    return waitFor(shown, { timeoutMs, everyMs: 200, what: `${String(expected)} on the screen` }).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}; it shows:\n${screen}`, { cause: error });
      },
    );
  }

  /** A picture of the screen for the docs. */
  async picture(browser: Browser, name: string): Promise<void> {
    const page = await browser.newPage({ viewport: { width: 1040, height: 300 }, deviceScaleFactor: 2 });
    await page.setContent(`<style>${style}</style><pre>${asHtml(this.screen(true).trimEnd())}</pre>`);
    await picture(page, name);
    await page.close();
  }

  close(): void {
    this.#do(['kill-server']);
    // The shell may be writing its history.
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  #do(words: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
    const { executablePath, env: libraries } = this.#tmux;
    const all = ['-L', this.#socket, ...words];
    return execFileSync(executablePath, all, { env: { ...env, ...libraries }, encoding: 'utf8' });
  }
}

const style = `body { margin: 0; background: #16181d; } pre { margin: 0; padding: 18px 20px; color: #d7dae0;
  font: 14px/1.45 'DejaVu Sans Mono', monospace; } b { color: #fff; }
  .c31 { color: #ff7b72; } .c32 { color: #7ee787; } .c33 { color: #e3b341; } .c36 { color: #76e3ea; } .c2 { color: #8b929e; }`;

/** The colours that the command uses, as elements. */
function asHtml(screen: string): string {
  const text = screen.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const parts = text.split(new RegExp(String.raw`\u001b\[([\d;]*)m`, 'u'));
  return parts
    .map((part, index) => {
      if (index % 2 === 1) return '';
      const codes = index === 0 ? [] : (parts[index - 1] ?? '').split(';');
      const [colour] = codes.filter((code) => /^(2|31|32|33|36)$/u.test(code));
      if (colour !== undefined) return `<span class="c${colour}">${part}</span>`;
      return codes.includes('1') ? `<b>${part}</b>` : part;
    })
    .join('');
}
