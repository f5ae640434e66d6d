import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium, type LaunchOptions, type Page } from 'playwright-core';
import { type Program, programOf } from './debian.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The Chromium of this machine, or Debian's, with the arguments that it starts with here; else why there is none. */
async function findBrowser(): Promise<LaunchOptions | string> {
  let program: Program;
  try {
    program = programOf(names, { name: 'chromium', file: 'usr/lib/chromium/chromium' });
  } catch (error) {
    return `no Chromium on PATH, and Debian's package cannot be had: ${String(error)}`;
  }
  let why = '';
  for (const args of sandboxes) {
    const options = { ...program, args: [...args, '--disable-dev-shm-usage'] };
    try {
      await (await chromium.launch(options)).close();
      return options;
    } catch (error) {
      why = String(error);
    }
  }
  return `${program.executablePath} does not start: ${why}`;
}

/** Root's Chromium refuses a sandbox, and many containers let nobody have one. It sees our own pages alone. */
const sandboxes = process.getuid?.() === 0 ? [['--no-sandbox']] : [[], ['--no-sandbox']];

const found = await findBrowser();

/** Why there is no browser here; what needs one is left out then, which this says. */
export const noBrowser = typeof found === 'string' ? found : undefined;
if (noBrowser !== undefined) process.stderr.write(`browser         left out: ${noBrowser}\n`);

/** Starts a browser without a window. */
export async function openBrowser(): Promise<Browser> {
  return chromium.launch(found as LaunchOptions);
}

const pictures = path.join(import.meta.dirname, '../../docs/pictures');

/**
 * A picture of a page for the docs, kept where `UPDATE_PICTURES` is set: figures and times in it are never the same
 * twice, so tests compare none.
 */
export async function picture(page: Page, name: string): Promise<void> {
  if (!process.env['UPDATE_PICTURES']) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
}
