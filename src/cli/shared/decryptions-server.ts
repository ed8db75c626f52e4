import { readFile } from 'node:fs/promises';
import { AccountId } from '../../bytes/fixed-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { DecryptionService } from '../../decryptions/decryption-service.ts';
import type { DecryptionTable } from '../../decryptions/decryption-table.ts';
import { decryptionsApp } from '../../decryptions/decryptions-app.ts';
import type { DecryptionsConfig, EtcdSettings } from '../../decryptions/decryptions-config.ts';
import { EtcdTable } from '../../decryptions/etcd/etcd-table.ts';
import { pruneRegularly } from '../../decryptions/prune-regularly.ts';
import { type ServedApp, serveApp } from '../../decryptions/serve-app.ts';
import { StoreTable } from '../../decryptions/store-table.ts';
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
  /** Sends waiters away, finishes requests under way, and closes the store or the connections to etcd. */
  close(): Promise<void>;
}

/** Opens the store (and makes it on the first start) or connects to etcd, and serves. */
export async function startDecryptionsServer(
  config: DecryptionsConfig,
  onError: (error: unknown, requestId?: string) => void,
): Promise<DecryptionsServer> {
  const writeAuthorization = await readAuthorization(config.writeAuthorization);
  const engine = await openEngine(config).catch((error: unknown) => {
    if (writeAuthorization.kind === 'bearer') writeAuthorization.token.wipe();
    throw error;
  });
  const listeners: ServedApp[] = [];
  const metrics = new DecryptionsPrometheus();
  try {
    const service = DecryptionService.on(engine.table, { ...config, metrics });
    const app = decryptionsApp(service, { ...config, writeAuthorization, onError });
    const main = await serveApp(app, config);
    listeners.push(main);
    if (config.metricsPort !== undefined)
      listeners.push(
        await serveApp(
          metrics.app(() => service.health()),
          { address: config.address, port: config.metricsPort },
        ),
      );
    const stopPruning = pruneRegularly(service, config.prune, onError);
    return {
      url: main.url,
      metricsUrl: listeners[1]?.url,
      async close() {
        stopPruning();
        service.close();
        for (const listener of listeners) await listener.close();
        await engine.close();
      },
    };
  } catch (error) {
    for (const listener of listeners) await listener.close(0);
    await engine.close();
    throw error;
  }
}

interface Engine {
  readonly table: DecryptionTable;
  close(): Promise<void>;
}

async function openEngine({ engine, storePath, passwordFile }: DecryptionsConfig): Promise<Engine> {
  if (engine !== undefined) return openEtcd(engine.etcd);
  const store = await openStore(storePath ?? '', passwordFile ?? '');
  try {
    return { table: await StoreTable.open(store), close: () => store.close() };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openEtcd({ user, tls, ...settings }: EtcdSettings): Promise<Engine> {
  const pems = {
    ca: await readPem(tls?.caFile),
    cert: await readPem(tls?.certFile),
    key: await readPem(tls?.keyFile),
  };
  const password =
    user === undefined ? undefined : await readSecret(user.passwordFile, 'engine.etcd.user.passwordFile', 1);
  const signIn = user === undefined || password === undefined ? {} : { user: { name: user.name, password } };
  try {
    const table = await EtcdTable.open({ ...settings, tls: pems, ...signIn });
    return {
      table,
      close: async () => {
        table.close();
        password?.wipe();
      },
    };
  } catch (error) {
    password?.wipe();
    throw error;
  }
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ProblemError('CONFIG_INVALID', `${path} cannot be read`, { cause });
  }
}

function openStore(path: string, passwordFile: string): Promise<SealedStore> {
  return withPlace({ path, passwordFile }, async (place) => {
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
      return {
        kind: 'bearer',
        token: await readSecret(configured.tokenFile, 'writeAuthorization.tokenFile', MIN_TOKEN_BYTES),
      };
    case 'sr25519':
      return {
        kind: 'sr25519',
        accounts: configured.accounts.map((account) => AccountId.parse(account, 'account')),
      };
  }
}

const MIN_TOKEN_BYTES = 16;

async function readSecret(path: string, field: string, minBytes: number): Promise<SecretBytes> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new ProblemError('CONFIG_INVALID', `the file ${path} of ${field} cannot be read`, { cause });
  }
  const end = bytes.findLastIndex((byte) => byte !== 0x0a && byte !== 0x0d) + 1;
  const secret = new SecretBytes(bytes.subarray(0, end));
  bytes.fill(0);
  if (end >= minBytes) return secret;
  secret.wipe();
  throw new EvidenceError(
    'DECRYPTIONS_CONFIG_INVALID',
    `${field}: the secret has fewer than ${minBytes} bytes`,
    {
      field,
    },
  );
}
