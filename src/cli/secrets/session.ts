import { AccountId } from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { systemRandom } from '../../crypto/random.ts';
import { sr25519PublicKey } from '../../crypto/sr25519.ts';
import { buildParts } from '../../node/parts.ts';
import { openUserDirectory } from '../../node/user-directory.ts';
import { jsonLog } from '../../observe/log.ts';
import { SecretClient } from '../../secrets/client/secret-client.ts';
import { type ConfigOptions, type RootOptions, readConfig, readTrustRoot } from '../shared/config-options.ts';
import { readUserFile } from '../shared/user-file.ts';
import { readAll } from '../store/io.ts';

const SEED_BYTES = 32;
/** `0x`, 64 digits, and a line end. */
const MAX_KEY_FILE_BYTES = 80;

/** Options of every command of a user. */
export interface UserOptions extends ConfigOptions, RootOptions {
  /** File with the seed of the user's account, 0x and 64 hex digits. */
  readonly key: string;
  readonly measurement?: string;
}

/** A client with the key that the options name, for one task; the key is wiped afterwards. */
export async function withSecretClient<T>(
  options: UserOptions,
  task: (client: SecretClient, user: AccountId) => Promise<T>,
): Promise<T> {
  const config = await readConfig(options.config);
  const trustRoot = await readTrustRoot(options);
  const log = jsonLog(config.log.level, process.stderr);
  const seed = await readSeed(options.key);
  const parts = buildParts(config, { log, ...(trustRoot === undefined ? {} : { trustRoot }) });
  const stop = new AbortController();
  try {
    const { measurement } = options;
    const image = measurement === undefined ? undefined : parsePrefixedHex(measurement, 32, 'measurement');
    const directory = await openUserDirectory(config, parts, image, stop.signal);
    const user = AccountId.of(sr25519PublicKey(seed.reveal()));
    const client = new SecretClient({
      owner: { account: user, seed },
      directory,
      fetch: (url, init) => fetch(url, init),
      random: systemRandom,
      now: () => parts.clock.nowMs(),
    });
    return await task(client, user).finally(() => directory.close());
  } finally {
    stop.abort();
    seed.wipe();
    await parts.chain[Symbol.asyncDispose]();
    await parts.collateral.close();
    await parts.earlyCollateral?.close();
  }
}

/** @throws EvidenceError FIELD_INVALID. ProblemError STORE_FILE_UNREADABLE. */
async function readSeed(path: string): Promise<SecretBytes> {
  const bytes = await readUserFile(path, 'key', MAX_KEY_FILE_BYTES);
  const text = Buffer.from(bytes).toString('latin1').trim();
  bytes.fill(0);
  return SecretBytes.adopt(parsePrefixedHex(text, SEED_BYTES, 'key'));
}

/** Bytes of a file, or of standard input for `-`; never an argument, which every process of the machine can read. */
export const readValue = (path: string, option: string, maxBytes: number): Promise<Uint8Array> =>
  path === '-' ? readAll(process.stdin, maxBytes) : readUserFile(path, option, maxBytes);
