import { refuseOpenDoor } from '../console/guards/admission.ts';
import { type Listening, listenOn } from '../console/listening.ts';
import { type Config, ConfigError } from '../settings/config.ts';
import { EncryptionCodec } from '../settings/data-converter.ts';
import { codecApp } from './app.ts';

const variable = 'KEYSTRIDE_CODEC_SERVER';

/**
 * Starts the codec server: it reads payloads for the Temporal UI and for `temporal --codec-endpoint`.
 * @throws ConfigError without keys, when it would decrypt for everybody, or cannot listen where it is to
 */
export async function startCodecServer(config: Config): Promise<Listening> {
  const { encryption, codecServer: settings, temporal } = config;
  if (!encryption)
    throw new ConfigError(
      [{ variable: 'KEYSTRIDE_ENCRYPTION_KEYS', problem: 'is not set' }],
      'Set it, or KEYSTRIDE_ENCRYPTION_KEYS_FILE, to the keys of the workers: without keys nothing is encrypted.',
    );
  refuseOpenDoor(settings, variable, 'Set KEYSTRIDE_CODEC_SERVER_TOKEN to a long secret');
  let port = 0;
  const codec = new EncryptionCodec(encryption);
  const app = codecApp({ settings, codec, namespace: temporal?.namespace ?? 'default' }, () => port);
  const listening = await listenOn(app.fetch, settings.listen, variable);
  ({ port } = listening);
  return listening;
}
