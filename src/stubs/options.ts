/** The options that every stub takes, for `parseArgs`. */
export const commonOptions = {
  help: { type: 'boolean', short: 'h' },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '0' },
  seed: { type: 'string', default: 'keystride' },
} as const;

/** Reads `--port`. @throws Error when it is no port */
export function readPort(text: string): number {
  const port = readNumber('port', text);
  if (!Number.isInteger(port) || port > 65_535) throw new Error(`--port ${port} is no port: 0 to 65535`);
  return port;
}

/** Reads a number that is not negative. @throws Error naming the option */
export function readNumber(name: string, text: string): number {
  // Number('') is 0, and Number('0x10') is 16: neither is meant.
  if (!/^\d+(\.\d+)?$/.test(text)) throw new Error(`--${name} ${JSON.stringify(text)} is no number`);
  return Number(text);
}

/** Options that hold a number, for `parseArgs`: the keys of the given object. */
export function numberOptions<Name extends string>(
  fields: Readonly<Record<Name, string>>,
): Record<Name, { type: 'string' }> {
  const options = Object.keys(fields).map((name) => [name, { type: 'string' }]);
  return Object.fromEntries(options) as Record<Name, { type: 'string' }>;
}

/** The options that hold a number and were given, by the names that the behaviour has for them. */
export function readNumbers<Name extends string>(
  fields: Readonly<Record<Name, string>>,
  values: Readonly<Record<string, unknown>>,
): Record<string, number> {
  const given = (Object.keys(fields) as Name[]).flatMap((name): [string, number][] => {
    const text = values[name];
    return typeof text === 'string' ? [[fields[name], readNumber(name, text)]] : [];
  });
  return Object.fromEntries(given);
}
