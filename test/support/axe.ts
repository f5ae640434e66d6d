import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What keeps people with disabilities out, by axe-core's rules: serious and critical, a line each. */
export async function barriersOf(page: Page): Promise<string[]> {
  // Evaluated by the debugger, which the content security policy does not hold.
  await page.evaluate(source);
  const { violations } = await page.evaluate<AxeResults>('axe.run()');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id} ${String(target)}: ${failureSummary}`),
    );
}

/** How many pixels lie beyond the right edge of the window; on a telephone, where rows are cards, of a table too. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate<number>(`(() => {
    const tables = innerWidth > 720 ? [] : document.querySelectorAll('.table-frame');
    const wide = [document.documentElement, ...tables];
    return Math.max(...wide.map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth));
  })()`);
}
