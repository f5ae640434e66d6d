import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { answeredOnce } from '../../packages/keystride/src/contract/answered-once.ts';
import { findExecutable } from '../../packages/keystride/src/dev/executables.ts';
import { cacheOf } from '../../packages/keystride/src/settings/places.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** How to run a browser: its program, and what it needs to find its libraries. */
interface Program {
  readonly executablePath: string;
  readonly env?: Record<string, string>;
}

/**
 * The Chromium of this machine; where there is none, Debian's package, installed by root or unpacked beside our other
 * programs by anybody else.
 */
const program = answeredOnce(async (): Promise<Program> => {
  const found = names.map((name) => findExecutable(name)).find((file) => file !== undefined);
  if (found !== undefined) return { executablePath: found };
  return process.getuid?.() === 0 ? installed() : unpacked(path.join(cacheOf(process.env), 'chromium'));
});

function installed(): Program {
  process.stderr.write('chromium        installing the Debian package (once) …\n');
  execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], { stdio: 'ignore' });
  return { executablePath: '/usr/bin/chromium' };
}

/** Without root nothing can be installed: the packages that are missing are unpacked into a directory of ours. */
function unpacked(root: string): Program {
  const executablePath = path.join(root, 'usr/lib/chromium/chromium');
  if (!existsSync(executablePath)) {
    process.stderr.write(`chromium        unpacking the Debian package into ${root} (once) …\n`);
    mkdirSync(root, { recursive: true });
    const missing = withDependencies('chromium').filter((name) => !isInstalled(name));
    execFileSync('apt-get', ['download', ...missing], { cwd: root, stdio: 'ignore' });
    for (const file of execFileSync('find', [root, '-maxdepth', '1', '-name', '*.deb'], { encoding: 'utf8' })
      .trim()
      .split('\n'))
      execFileSync('dpkg', ['-x', file, root]);
  }
  const libraries = execFileSync('find', [path.join(root, 'usr/lib'), '-name', '*.so*', '-printf', '%h\n'], {
    encoding: 'utf8',
  });
  const LD_LIBRARY_PATH = [...new Set(libraries.trim().split('\n'))].join(':');
  return { executablePath, env: { ...(process.env as Record<string, string>), LD_LIBRARY_PATH } };
}

function withDependencies(name: string): string[] {
  const words = ['depends', '--recurse', '--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks'];
  const text = execFileSync(
    'apt-cache',
    [...words, '--no-replaces', '--no-enhances', '--no-pre-depends', name],
    {
      encoding: 'utf8',
    },
  );
  return [...new Set(text.split('\n').filter((line) => /^[a-z\d][a-z\d.+-]*$/u.test(line)))];
}

function isInstalled(name: string): boolean {
  try {
    return /^Status: install ok installed$/mu.test(
      execFileSync('dpkg', ['-s', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return false;
  }
}

/** Starts a browser without a window. Root's has no sandbox, which Chromium refuses it. */
export async function openBrowser(): Promise<Browser> {
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ ...(await program()), args: [...args, '--disable-dev-shm-usage'] });
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
