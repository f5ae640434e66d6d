import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { publishedBin, publishedManifest, type Manifest } from './manifest.ts';

/**
 * Makes `dist`, or the directory that it is given, out of the sources: the package as it is published, with a package.json
 * of its own. In the repository the exports lead to the sources, so that nobody has to build anything to work on it.
 */
const root = path.join(import.meta.dirname, '..');
const dist = path.resolve(process.argv[2] ?? path.join(root, 'dist'));

rmSync(dist, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [
    ...[path.join(root, '../../node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    ...['--outDir', dist],
  ],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
cpSync(path.join(root, 'src/sql'), path.join(dist, 'sql'), { recursive: true });
cpSync(path.join(root, 'src/console/assets'), path.join(dist, 'console/assets'), { recursive: true });
cpSync(path.join(root, 'tools'), path.join(dist, 'tools'), { recursive: true });
cpSync(path.join(root, 'templates'), path.join(dist, 'templates'), { recursive: true });
cpSync(path.join(root, 'README.md'), path.join(dist, 'README.md'));
cpSync(path.join(root, '../../LICENSE'), path.join(dist, 'LICENSE'));
renameInDeclarations();
carrySources();
writeManifest();

/** The compiler leaves `./page.ts` as it is in declarations. The names are equally long, so that the maps hold. */
function renameInDeclarations(): void {
  for (const file of globSync('**/*.d.ts', { cwd: dist })) {
    const declarations = path.join(dist, file);
    const text = readFileSync(declarations, 'utf8');
    writeFileSync(
      declarations,
      text.replaceAll(/(?<=(?:\bfrom |\bimport |\bimport\()(['"])\.{1,2}\/[^'"]*)\.ts(?=\1)/gu, '.js'),
    );
  }
}

/** An editor that goes to a definition, and a stack trace with source maps, arrive at TypeScript. */
function carrySources(): void {
  for (const file of globSync('src/**/*.ts', { cwd: root }))
    cpSync(path.join(root, file), path.join(dist, file));
  for (const file of globSync('**/*.map', { cwd: dist })) {
    const map = path.join(dist, file);
    const { sources, ...rest } = JSON.parse(readFileSync(map, 'utf8')) as {
      readonly sources: readonly string[];
    };
    const here = path.dirname(map);
    // A map names its source as seen from where it lies: packages/keystride/src, which is dist/src in the package.
    const carried = sources.map((source) =>
      path
        .relative(here, path.join(dist, path.relative(root, path.resolve(here, source))))
        .replaceAll('\\', '/'),
    );
    writeFileSync(map, JSON.stringify({ ...rest, sources: carried }));
  }
}

function writeManifest(): void {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest;
  for (const program of Object.values(publishedBin(manifest.bin))) chmodSync(path.join(dist, program), 0o755);
  const published = JSON.stringify(publishedManifest(manifest), undefined, 2);
  writeFileSync(path.join(dist, 'package.json'), `${published}\n`);
}
