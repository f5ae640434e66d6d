import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { type Program, programOf } from './debian.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The Chromium of this machine, or Debian's; where neither can be had, why not. */
function findProgram(): Program | string {
  try {
    return programOf(names, { name: 'chromium', file: 'usr/lib/chromium/chromium' });
  } catch (error) {
    return `no Chromium on PATH, and Debian's package cannot be had: ${String(error)}`;
  }
}

const program = findProgram();

/** Why there is no browser here; what needs one is left out then, which this says. */
export const noBrowser = typeof program === 'string' ? program : undefined;
if (noBrowser !== undefined) process.stderr.write(`browser         ${noBrowser}\n`);

/** Starts a browser without a window. Root's has no sandbox, which Chromium refuses it. */
export async function openBrowser(): Promise<Browser> {
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ ...(program as Program), args: [...args, '--disable-dev-shm-usage'] });
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
