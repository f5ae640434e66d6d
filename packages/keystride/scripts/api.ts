import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CompilerState, Extractor, ExtractorConfig, type ExtractorLogLevel } from '@microsoft/api-extractor';
import { compiled, type Manifest } from './manifest.ts';

/**
 * Compares the public API, as `npm run build` has declared it, with the reports in `api`, one for each entry. With
 * `--update` it writes them instead. A change that users feel is thereby seen in the commit that makes it.
 */
const root = path.join(import.meta.dirname, '..');
const update = process.argv.includes('--update');
const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest;
const entries = Object.entries(exports).filter(([, file]) => file.endsWith('.ts'));

/** The reports are what counts; the compiler and the linter have had their say. */
const silent = { logLevel: 'none' as ExtractorLogLevel };

mkdirSync(path.join(root, 'api'), { recursive: true });
const configs = entries.map(configOf);
const [first, ...others] = configs;
if (first === undefined) throw new Error('package.json has no exports');
const compilerState = CompilerState.create(first, {
  additionalEntryPoints: others.map(({ mainEntryPointFilePath }) => mainEntryPointFilePath),
});
const changed = configs.filter((config) => !isAsReported(config)).map(({ reportFilePath }) => reportFilePath);
const reports = configs.map(({ reportFilePath }) => path.basename(reportFilePath));
const left = globSync('*.api.md', { cwd: path.join(root, 'api') }).filter((name) => !reports.includes(name));
if (update) for (const name of left) rmSync(path.join(root, 'api', name));
if (!update && changed.length + left.length > 0) {
  const names = [...changed, ...left].map((file) => path.basename(file)).join(', ');
  console.error(`The public API is not what packages/keystride/api says: ${names}.`);
  console.error('If the change is meant: npm run api, and commit the reports with it.');
  process.exitCode = 1;
}

function configOf([entry, source]: readonly [string, string]): ExtractorConfig {
  const declarations = compiled(source, '.d.ts').slice('./'.length);
  const name = entry === '.' ? 'index' : entry.slice('./'.length).replaceAll('/', '-');
  return ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: path.join(root, 'dist', declarations),
      compiler: { tsconfigFilePath: path.join(root, 'tsconfig.build.json') },
      apiReport: {
        enabled: true,
        includeForgottenExports: true,
        reportFileName: `${name}.api.md`,
        reportFolder: path.join(root, 'api'),
        reportTempFolder: path.join(root, 'dist/.api'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      messages: {
        compilerMessageReporting: { default: silent },
        extractorMessageReporting: { default: silent },
        tsdocMessageReporting: { default: silent },
      },
    },
  });
}

function isAsReported(config: ExtractorConfig): boolean {
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: update,
    compilerState,
    // What there is to say is said once, below all entries.
    messageCallback: (message) => {
      message.handled = true;
    },
  });
  return !apiReportChanged;
}
