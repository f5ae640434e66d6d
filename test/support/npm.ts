import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** How this machine reaches npm's packages is its own business: proxies, certificates, a registry. News of npm are nobody's. */
export function wayToTheRegistry(): NodeJS.ProcessEnv {
  const known =
    /^(npm_config_(registry|cafile|userconfig|proxy|https_proxy)|https?_proxy|no_proxy|.*_CERTS?|SSL_.*)$/iu;
  return {
    npm_config_update_notifier: 'false',
    npm_config_userconfig: path.join(process.env['HOME'] ?? '', '.npmrc'),
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => known.test(name))),
  };
}

/** How a package is installed from the cache of npm where it has it, without questions, and without news of npm itself. */
export const installWords = [
  'install',
  '--prefer-offline',
  '--no-audit',
  '--no-fund',
  '--no-update-notifier',
] as const;

/** The oldest Node that the library runs on, as its package.json says. */
export const oldestNode = oldest();

function oldest(): string {
  const manifest = path.join(import.meta.dirname, '../../packages/keystride/package.json');
  const { engines } = JSON.parse(readFileSync(manifest, 'utf8')) as {
    readonly engines: { readonly node: string };
  };
  return engines.node.replace(/^>=/u, '');
}

/** Installs that Node into a directory of its own. @returns where its `node` lies */
export function installOldestNode(directory: string): string {
  mkdirSync(directory, { recursive: true });
  const manifest = { private: true, dependencies: { node: oldestNode }, allowScripts: { node: true } };
  writeFileSync(path.join(directory, 'package.json'), JSON.stringify(manifest));
  execFileSync('npm', installWords, { cwd: directory, stdio: 'pipe' });
  return path.join(directory, 'node_modules/node/bin');
}
