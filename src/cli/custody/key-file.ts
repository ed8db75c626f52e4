import { utf8 } from '../../bytes/concat.ts';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { systemRandom } from '../../crypto/random.ts';
import {
  type CustodianKey,
  makeCustodianKey,
  openCustodianKey,
  sealCustodianKey,
} from '../../custody/custodian-key.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { withPassword } from '../shared/password-file.ts';
import { readTextFile } from '../shared/user-file.ts';

/** Options that name a custodian's key. */
export interface KeyOptions {
  readonly key: string;
  readonly passwordFile: string;
}

/** Longest key file that is read. */
const MAX_KEY_FILE_BYTES = 16 * 1024;

/** Opens a custodian's key for one task, and wipes it afterwards. */
export async function withCustodianKey<T>(
  { key: path, passwordFile }: KeyOptions,
  task: (key: CustodianKey) => Promise<T>,
): Promise<T> {
  const text = await readTextFile(path, 'key', MAX_KEY_FILE_BYTES);
  const key = await withPassword(passwordFile, (passphrase) => openCustodianKey(text, passphrase));
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
    const text = await withPassword(options.passwordFile, (passphrase) => sealCustodianKey(key, passphrase));
    await writeNewFile(options.out, 'out', (write) => write(utf8(text)));
    process.stdout.write(`key: "${toPrefixedHex(key.publicKey)}"\n`);
    process.stderr.write(
      'The line above goes into trust.custody.custodians, beside your name. Keep the file and its passphrase apart from each other, and try both with `latchkey custody check`.\n',
    );
  } finally {
    key.seed.wipe();
  }
}
