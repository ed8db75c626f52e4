import { utf8 } from '../../bytes/concat.ts';
import { toPrefixedHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { systemRandom } from '../../crypto/random.ts';
import {
  type CustodianKey,
  makeCustodianKey,
  openCustodianKey,
  sealCustodianKey,
} from '../../custody/custodian-key.ts';
import { MAX_PASSWORD_BYTES, passwordFromFile } from '../../store/keys/password.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { readUserFile } from '../store/session.ts';

/** Options that name a custodian's key. */
export interface KeyOptions {
  readonly key: string;
  readonly passwordFile: string;
}

/** Longest key file that is read. */
const MAX_KEY_FILE_BYTES = 16 * 1024;

async function withPassphrase<T>(path: string, task: (passphrase: SecretBytes) => Promise<T>): Promise<T> {
  const bytes = await readUserFile(path, 'password-file', MAX_PASSWORD_BYTES + 2);
  let passphrase: SecretBytes | undefined;
  try {
    passphrase = passwordFromFile(bytes);
    return await task(passphrase);
  } finally {
    bytes.fill(0);
    passphrase?.wipe();
  }
}

/** Opens a custodian's key for one task, and wipes it afterwards. */
export async function withCustodianKey<T>(
  { key: path, passwordFile }: KeyOptions,
  task: (key: CustodianKey) => Promise<T>,
): Promise<T> {
  const text = Buffer.from(await readUserFile(path, 'key', MAX_KEY_FILE_BYTES)).toString('utf8');
  const key = await withPassphrase(passwordFile, (passphrase) => openCustodianKey(text, passphrase));
  try {
    return await task(key);
  } finally {
    key.seed.wipe();
  }
}

/** `latchkey custody keygen`. */
export async function makeKeyFile(options: {
  readonly out: string;
  readonly passwordFile: string;
}): Promise<void> {
  const key = makeCustodianKey(systemRandom);
  try {
    const text = await withPassphrase(options.passwordFile, (passphrase) =>
      sealCustodianKey(key, passphrase),
    );
    await writeNewFile(options.out, 'out', (write) => write(utf8(text)));
    process.stdout.write(`key: "${toPrefixedHex(key.publicKey)}"\n`);
    process.stderr.write(
      'The line above goes into trust.custody.custodians, beside your name. Keep the file and its passphrase apart from each other, and try both with `latchkey custody check`.\n',
    );
  } finally {
    key.seed.wipe();
  }
}
