import { writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/** For `node --import`: writes the URL of every module that the process has loaded to the file `LOADED_MODULES`. */
const loaded = new Set<string>();

registerHooks({
  load(url, context, next) {
    loaded.add(url);
    return next(url, context);
  },
});

process.on('exit', () => writeFileSync(process.env['LOADED_MODULES'] ?? '', [...loaded].join('\n')));
