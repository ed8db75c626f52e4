import { readFile } from 'node:fs/promises';
import { AccountId } from '../../bytes/fixed-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { DecryptionService } from '../../decryptions/decryption-service.ts';
import { decryptionsApp } from '../../decryptions/decryptions-app.ts';
import type { DecryptionsConfig } from '../../decryptions/decryptions-config.ts';
import { pruneRegularly } from '../../decryptions/prune-regularly.ts';
import { type ServedApp, serveApp } from '../../decryptions/serve-app.ts';
import type { WriteAuthorization } from '../../decryptions/write-authorization.ts';
import { EvidenceError, LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import { DecryptionsPrometheus } from '../../http/decryptions-metrics.ts';
import { createPasswordStore, openPasswordStore } from '../../store/password-store.ts';
import type { SealedStore } from '../../store/sealed-store.ts';
import { withPlace } from '../store/session.ts';

/** A decryption service that runs. */
export interface DecryptionsServer {
  readonly url: string;
  /** Where the metrics are, if anywhere. */
  readonly metricsUrl: string | undefined;
  /** Sends waiters away, finishes requests under way, and closes the store. */
  close(): Promise<void>;
}

/** Opens the store (and makes it on the first start), and serves. */
export async function startDecryptionsServer(
  config: DecryptionsConfig,
  onError: (error: unknown, requestId?: string) => void,
): Promise<DecryptionsServer> {
  const writeAuthorization = await readAuthorization(config.writeAuthorization);
  const store = await openStore(config);
  const listeners: ServedApp[] = [];
  const metrics = new DecryptionsPrometheus();
  try {
    const service = await DecryptionService.open(store, { ...config, metrics });
    const app = decryptionsApp(service, { ...config, writeAuthorization, onError });
    const main = await serveApp(app, config);
    listeners.push(main);
    if (config.metricsPort !== undefined)
      listeners.push(await serveApp(metrics.app(), { address: config.address, port: config.metricsPort }));
    const stopPruning = pruneRegularly(service, config.prune, onError);
    return {
      url: main.url,
      metricsUrl: listeners[1]?.url,
      async close() {
        stopPruning();
        service.close();
        for (const listener of listeners) await listener.close();
        await store.close();
      },
    };
  } catch (error) {
    for (const listener of listeners) await listener.close(0);
    await store.close();
    throw error;
  }
}

function openStore({ storePath, passwordFile }: DecryptionsConfig): Promise<SealedStore> {
  return withPlace({ path: storePath, passwordFile }, async (place) => {
    try {
      return await openPasswordStore(place);
    } catch (error) {
      // Only where there is nothing: a store that does not open is never replaced.
      if (error instanceof LatchkeyError && error.code === 'STORE_NOT_FOUND')
        return createPasswordStore(place);
      throw error;
    }
  });
}

async function readAuthorization(
  configured: DecryptionsConfig['writeAuthorization'],
): Promise<WriteAuthorization> {
  switch (configured.kind) {
    case 'open':
      return { kind: 'open' };
    case 'bearer':
      return { kind: 'bearer', token: await readToken(configured.tokenFile) };
    case 'sr25519':
      return {
        kind: 'sr25519',
        accounts: configured.accounts.map((account) => AccountId.parse(account, 'account')),
      };
  }
}

const MIN_TOKEN_BYTES = 16;

async function readToken(path: string): Promise<SecretBytes> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new ProblemError('CONFIG_INVALID', `the token file ${path} cannot be read`, { cause });
  }
  const end = bytes.findLastIndex((byte) => byte !== 0x0a && byte !== 0x0d) + 1;
  const token = new SecretBytes(bytes.subarray(0, end));
  bytes.fill(0);
  if (end >= MIN_TOKEN_BYTES) return token;
  token.wipe();
  throw new EvidenceError('DECRYPTIONS_CONFIG_INVALID', `the token has fewer than ${MIN_TOKEN_BYTES} bytes`, {
    field: 'writeAuthorization.tokenFile',
  });
}
