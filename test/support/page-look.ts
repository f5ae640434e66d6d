import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { barriersOf, overflowOf } from './axe.ts';
import { picture } from './chromium.ts';

/** The widths that pages are looked at, in pixels. */
export const widths = { laptop: 1280, telephone: 380 } as const;

/** A page in a browser of its own, and what it complains of: scripts that fail, what the policy refuses. */
export interface Visited {
  readonly page: Page;
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

/** Opens a page of the console. One that is not there is no complaint. */
export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visited> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', ({ message }) => complaints.push(message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('404')) complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** Where a page is looked at. */
export interface Look {
  readonly device: keyof typeof widths;
  readonly colorScheme: 'light' | 'dark';
  /** What must be there before it is looked at. */
  readonly waitFor?: string | undefined;
}

/** How many barriers, pixels beyond the window and complaints a page may have. */
export const looksRight = { barriers: [], overflow: 0, complaints: [] };

/** What is wrong with a page, to be compared with `looksRight`; a picture of it is kept by that name. */
export async function lookAt(
  browser: Browser,
  url: string,
  name: string,
  { device, colorScheme, waitFor }: Look,
) {
  const viewport = { width: widths[device], height: 900 };
  const { page, complaints, close } = await visit(browser, url, { colorScheme, viewport });
  try {
    if (waitFor !== undefined) await page.waitForSelector(waitFor);
    await picture(page, `${name}-${device}-${colorScheme}`);
    return { barriers: await barriersOf(page), overflow: await overflowOf(page), complaints };
  } finally {
    await close();
  }
}
