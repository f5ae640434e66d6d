/** What the build needs to know of a package.json. */
export interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** An entry of the published package: its declarations and its code. */
interface Entry {
  readonly types: string;
  readonly default: string;
}

/** What concerns the repository alone. */
const ofTheRepository = new Set(['private', 'scripts', 'devDependencies']);

/** The package.json of the published package, from that of the sources: paths lead to what was compiled. */
export function publishedManifest({ bin, exports, ...fields }: Manifest): Readonly<Record<string, unknown>> {
  return {
    ...Object.fromEntries(Object.entries(fields).filter(([field]) => !ofTheRepository.has(field))),
    bin: publishedBin(bin),
    exports: mapValues(exports, (file): Entry | string =>
      file.endsWith('.ts') ? { types: compiled(file, '.d.ts'), default: compiled(file, '.js') } : file,
    ),
  };
}

/** The programs of the published package, by name, relative to it. */
export function publishedBin(bin: Manifest['bin']): Manifest['bin'] {
  return mapValues(bin, (file) => compiled(file, '.js').slice('./'.length));
}

/** Where the build puts a source: `./src/table-sync.ts` becomes `./table-sync.js`, or `.d.ts`. */
export function compiled(file: string, extension: string): string {
  return `./${file.replace(/^(\.\/)?src\//u, '').replace(/\.ts$/u, extension)}`;
}

function mapValues<Value, Result>(
  record: Readonly<Record<string, Value>>,
  change: (value: Value) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
