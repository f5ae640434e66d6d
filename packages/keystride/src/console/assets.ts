import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/** A file that pages load. */
interface Asset {
  readonly type: string;
  readonly file: () => string;
}

const require = createRequire(import.meta.url);
const own = (name: string) => path.join(import.meta.dirname, 'assets', name);

/** Every file that there is: what is not named here cannot be had, whatever path somebody asks for. */
const assets: Readonly<Record<string, Asset>> = {
  'console.css': { type: 'text/css', file: () => own('console.css') },
  'console.js': { type: 'text/javascript', file: () => own('console.js') },
  'icon.svg': { type: 'image/svg+xml', file: () => own('icon.svg') },
  'uplot.css': { type: 'text/css', file: () => require.resolve('uplot/dist/uPlot.min.css') },
  'uplot.js': { type: 'text/javascript', file: () => require.resolve('uplot/dist/uPlot.iife.min.js') },
};

/** A file's text and media type; undefined for one that there is not. */
export function assetNamed(name: string): { readonly type: string; readonly text: string } | undefined {
  const asset = Object.hasOwn(assets, name) ? assets[name] : undefined;
  return asset && { type: `${asset.type}; charset=utf-8`, text: readFileSync(asset.file(), 'utf8') };
}
