import { z } from 'zod';
import { toPrefixedHex, tryFromHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { Ed25519Signer } from '../../crypto/ed25519.ts';
import { systemRandom } from '../../crypto/random.ts';
import { malformedFile, parseFile } from '../../fleet/manifest-file.ts';
import { unwrapStoreKey, wrapStoreKey } from '../../store/keys/password.ts';

const SEED_BYTES = 32;
/** Longest key file that is read. */
export const MAX_KEY_FILE_BYTES = 16 * 1024;

const schema = z.strictObject({
  format: z.literal('latchkey-fleet-key'),
  version: z.literal(1),
  publicKey: z.string(),
  /** The password header of docs/store-format.md around the Ed25519 seed. */
  sealed: z.string(),
});

/** A signing key of an authority, sealed under a password. */
export interface SealedKeyFile {
  /** Content of the file. */
  readonly text: string;
  /** `0x` hex of 32 bytes. */
  readonly publicKey: string;
  readonly signer: Ed25519Signer;
}

/** Makes a signing key. */
export async function createKeyFile(password: SecretBytes): Promise<SealedKeyFile> {
  const seed = SecretBytes.adopt(systemRandom(SEED_BYTES));
  try {
    const signer = new Ed25519Signer(seed.reveal());
    const publicKey = toPrefixedHex(signer.publicKey);
    const sealed = toPrefixedHex(await wrapStoreKey(seed, password));
    const file = { format: 'latchkey-fleet-key', version: 1, publicKey, sealed } satisfies z.input<
      typeof schema
    >;
    return { text: `${JSON.stringify(file, null, 2)}\n`, publicKey, signer };
  } finally {
    seed.wipe();
  }
}

/**
 * Opens a key file.
 * @throws EvidenceError FLEET_FILE_MALFORMED, STORE_PASSWORD_HEADER, STORE_PASSWORD_WRONG.
 */
export async function openKeyFile(text: string, password: SecretBytes): Promise<Ed25519Signer> {
  const { publicKey, sealed } = parseFile(schema, text, 'key file');
  const header = tryFromHex(sealed);
  if (header === undefined) throw malformedFile('key file sealed', '0x hex', 'other text');
  const seed = await unwrapStoreKey(header, password);
  try {
    const signer = new Ed25519Signer(seed.reveal());
    if (toPrefixedHex(signer.publicKey) === publicKey) return signer;
    throw malformedFile('key file publicKey', 'that of the sealed key', publicKey);
  } finally {
    seed.wipe();
  }
}
