import { concatBytes, utf8 } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { type AccountId, LineageId, type SlotId } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { deriveKey, hkdfExpand, hkdfExtract } from '../crypto/hkdf.ts';
import type { RandomSource } from '../crypto/random.ts';
import { sha256 } from '../crypto/sha2.ts';
import {
  XCHACHA_NONCE_BYTES,
  XCHACHA_TAG_BYTES,
  xchacha20Poly1305Open,
  xchacha20Poly1305Seal,
} from '../crypto/xchacha20-poly1305.ts';

/** Bytes of a lineage secret and of a lineage key. */
export const LINEAGE_KEY_BYTES = 32;
/** Bytes of a lineage key that is sealed under a server key. */
export const SEALED_LINEAGE_KEY_BYTES = XCHACHA_NONCE_BYTES + LINEAGE_KEY_BYTES + XCHACHA_TAG_BYTES;

const KEY_LABEL = 'latchkey/v1/lineage';
const ID_LABEL = 'latchkey/v1/lineage-id';
const LINK_LABEL = 'latchkey/v1/lineage/link';

/** The key by which one server knows a lineage: HKDF-SHA-256 of the lineage secret, info = label ‖ server account. */
export function lineageKeyOf(secret: SecretBytes, server: AccountId): SecretBytes {
  const extracted = hkdfExtract(new Uint8Array(0), secret.reveal());
  const key = hkdfExpand(extracted, concatBytes(utf8(KEY_LABEL), server), LINEAGE_KEY_BYTES);
  extracted.fill(0);
  return SecretBytes.adopt(copyBytes(key));
}

/** The name of a lineage at one server: the first 16 bytes of SHA-256(label ‖ lineage key). */
export const lineageIdOf = (key: SecretBytes): LineageId =>
  LineageId.of(sha256(concatBytes(utf8(ID_LABEL), key.reveal())).subarray(0, LineageId.byteLength));

/** The slot that is linked to a lineage. */
export interface LinkedSlot {
  readonly server: AccountId;
  readonly account: AccountId;
  readonly slotId: SlotId;
}

const linkData = ({ server, account, slotId }: LinkedSlot): Uint8Array =>
  concatBytes(utf8(LINK_LABEL), server, account, slotId);

/** Seals a lineage key under the server key of a slot, bound to the slot: nonce ‖ ciphertext ‖ tag. */
export function sealLineageKey(
  serverKey: SecretBytes,
  slot: LinkedSlot,
  lineageKey: SecretBytes,
  random: RandomSource,
): Uint8Array {
  const key = deriveKey(serverKey.reveal(), LINK_LABEL);
  const nonce = random(XCHACHA_NONCE_BYTES);
  const sealed = xchacha20Poly1305Seal(key, nonce, linkData(slot), lineageKey.reveal());
  key.fill(0);
  return concatBytes(nonce, sealed);
}

/** Opens a sealed lineage key; `undefined` when it was sealed under another key or for another slot. */
export function openLineageKey(
  serverKey: SecretBytes,
  slot: LinkedSlot,
  sealed: Uint8Array,
): SecretBytes | undefined {
  if (sealed.length !== SEALED_LINEAGE_KEY_BYTES) return undefined;
  const key = deriveKey(serverKey.reveal(), LINK_LABEL);
  const nonce = sealed.subarray(0, XCHACHA_NONCE_BYTES);
  const opened = xchacha20Poly1305Open(key, nonce, linkData(slot), sealed.subarray(XCHACHA_NONCE_BYTES));
  key.fill(0);
  return opened === undefined ? undefined : SecretBytes.adopt(opened);
}
