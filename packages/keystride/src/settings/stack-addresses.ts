/** The addresses of a stack, credentials included. */
export interface StackAddresses {
  temporalAddress: string;
  temporalNamespace: string;
  temporalUiUrl: string;
  consoleUrl: string;
  /** Where payloads are decrypted for the Temporal UI and CLI. */
  codecServerUrl: string;
  /** What the jobs write to, with the ledger. */
  databaseUrl: string;
  /** What syncs read. */
  sourceDatabaseUrl: string;
  mongodbUrl: string;
  /** Where each stub listens, by the variable that names it. */
  stubs: Readonly<Record<string, string>>;
}

/** As many of the addresses as are known. */
export type KnownAddresses = { [K in keyof StackAddresses]?: StackAddresses[K] | undefined };
