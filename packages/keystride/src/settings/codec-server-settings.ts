import type { Settings } from './environment.ts';
import type { ListenAddress } from './server-variables.ts';
import { isLoopback } from '../stores/networks.ts';

/** Where the codec server listens, and whom it decrypts for. */
export interface CodecServerSettings {
  /** `KEYSTRIDE_CODEC_SERVER` @default 127.0.0.1:9234 */
  readonly listen: ListenAddress;
  /** `KEYSTRIDE_CODEC_SERVER_URL`: how others reach it, where that is not the address that it listens on. */
  readonly url?: string;
  /** `KEYSTRIDE_CODEC_SERVER_TOKEN`: what whoever asks has to show. */
  readonly token?: string;
  /** `KEYSTRIDE_CODEC_SERVER_ORIGINS`: the pages that may ask. @default that of `TEMPORAL_UI_URL` */
  readonly origins: readonly string[];
}

/** Where the codec server listens when nobody says otherwise. */
export const codecServerPort = 9234;

/**
 * The settings of the codec server.
 * @param uiUrl where the Temporal UI is, if that is known
 */
export function codecServerOf(settings: Settings, uiUrl: string | undefined): CodecServerSettings {
  const {
    KEYSTRIDE_CODEC_SERVER: listen = { hostname: '127.0.0.1', port: codecServerPort },
    KEYSTRIDE_CODEC_SERVER_URL: url,
    KEYSTRIDE_CODEC_SERVER_TOKEN: token,
    KEYSTRIDE_CODEC_SERVER_ORIGINS: origins = originsOf(uiUrl),
  } = settings;
  return { listen, origins, ...(url !== undefined && { url }), ...(token !== undefined && { token }) };
}

/** A page of this machine goes by two names. */
function originsOf(uiUrl: string | undefined): string[] {
  const ui = uiUrl === undefined ? null : URL.parse(uiUrl);
  if (!ui) return [];
  const names = isLoopback(ui.hostname) ? [ui.hostname, 'localhost', '127.0.0.1'] : [ui.hostname];
  const port = ui.port === '' ? '' : `:${ui.port}`;
  return [...new Set(names.map((name) => `${ui.protocol}//${name}${port}`))];
}
