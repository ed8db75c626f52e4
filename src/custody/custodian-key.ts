import { z } from 'zod';
import { toBase64, tryFromBase64 } from '../bytes/base64.ts';
import { equalBytes } from '../bytes/concat.ts';
import { toPrefixedHex, tryFromHex } from '../bytes/hex.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { ScryptCost } from '../crypto/scrypt.ts';
import { X_WING_SEED_BYTES, xWingPublicKey } from '../crypto/x-wing.ts';
import { unwrapStoreKey, wrapStoreKey } from '../store/keys/password.ts';
import { decodeBlock, encodeBlock, malformedBlock } from './text-block.ts';

/** scrypt of a custodian's key file: it is opened rarely and lies in drawers for years. About 0.5 s and 256 MiB. */
export const custodianKeyCost: ScryptCost = { logN: 18, r: 8, p: 1 };

/** The key pair of a custodian. */
export interface CustodianKey {
  /** 32 bytes: the X-Wing seed. */
  readonly seed: SecretBytes;
  /** 1216 bytes. */
  readonly publicKey: Uint8Array;
}

const keySchema = z.strictObject({
  format: z.literal('latchkey-custodian-key'),
  publicKey: z.string().max(4096),
  sealed: z.string().max(1024),
  version: z.literal(1),
});

/** Makes a key pair. */
export function makeCustodianKey(random: RandomSource): CustodianKey {
  const seed = SecretBytes.adopt(random(X_WING_SEED_BYTES));
  return { seed, publicKey: xWingPublicKey(seed.reveal()) };
}

/** The text of a key file: the seed sealed under a passphrase as a store key is (docs/store-format.md). */
export async function sealCustodianKey(
  { seed, publicKey }: CustodianKey,
  passphrase: SecretBytes,
  options: { readonly cost?: ScryptCost; readonly random?: RandomSource } = {},
): Promise<string> {
  const sealed = await wrapStoreKey(seed, passphrase, { cost: custodianKeyCost, ...options });
  return encodeBlock('KEY', {
    format: 'latchkey-custodian-key',
    publicKey: toPrefixedHex(publicKey),
    sealed: toBase64(sealed),
    version: 1,
  });
}

/**
 * Opens a key file.
 * @throws EvidenceError CUSTODY_BLOCK_MALFORMED, STORE_PASSWORD_WRONG, STORE_PASSWORD_HEADER.
 */
export async function openCustodianKey(text: string, passphrase: SecretBytes): Promise<CustodianKey> {
  const parsed = keySchema.safeParse(decodeBlock('KEY', text));
  if (!parsed.success) throw malformedBlock('KEY', parsed.error.issues[0]?.message ?? 'another layout');
  const header = tryFromBase64(parsed.data.sealed);
  if (header === undefined) throw malformedBlock('KEY', 'a sealed key that is not base64');
  const seed = await unwrapStoreKey(header, passphrase);
  const publicKey = xWingPublicKey(seed.reveal());
  // The file is not authenticated, but for the seed: a changed public key would go into a trust section.
  if (!equalBytes(tryFromHex(parsed.data.publicKey) ?? new Uint8Array(0), publicKey)) {
    seed.wipe();
    throw malformedBlock('KEY', 'another public key than that of the sealed key');
  }
  return { seed, publicKey };
}
