import { concatBytes } from '../bytes/concat.ts';
import type { AccountId, KeyId } from '../bytes/fixed-bytes.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import type { RandomSource } from '../crypto/random.ts';
import { SHARE_BYTES } from '../crypto/shamir.ts';
import {
  XCHACHA_NONCE_BYTES,
  XCHACHA_TAG_BYTES,
  xchacha20Poly1305Open,
  xchacha20Poly1305Seal,
} from '../crypto/xchacha20-poly1305.ts';
import type { StoreIdentity } from './keyslot-file.ts';
import type { Quorum } from './threshold.ts';

/** HKDF label of the key that seals a slot, from the server key. */
export const SLOT_LABEL = 'latchkey/v1/slot';
/** HKDF label of the key that seals the lineage secret, from the store key. */
export const LINEAGE_LABEL = 'latchkey/v1/keyslots/lineage';
const STORE_KEY_BYTES = 32;
const LINEAGE_SECRET_BYTES = 32;
/** Length of a sealed lineage secret. */
export const SEALED_LINEAGE_BYTES = XCHACHA_NONCE_BYTES + LINEAGE_SECRET_BYTES + XCHACHA_TAG_BYTES;

/** Everything that a slot is bound to. */
export interface SlotBinding extends StoreIdentity, Quorum {
  readonly generation: number;
  readonly index: number;
  readonly server: AccountId;
  readonly keyId: KeyId;
}

/** What a slot holds: a share, or with t = 1 the store key itself. */
export const slotContentBytes = (t: number): number => (t === 1 ? STORE_KEY_BYTES : SHARE_BYTES);

/** Length of a sealed slot. */
export const sealedSlotBytes = (t: number): number =>
  XCHACHA_NONCE_BYTES + slotContentBytes(t) + XCHACHA_TAG_BYTES;

/** Store id ‖ account ‖ generation (u64) ‖ t ‖ n ‖ i (one byte each) ‖ server ‖ key id; all of fixed length. */
function associatedData(binding: SlotBinding): Uint8Array {
  return concatBytes(
    binding.storeId,
    binding.account,
    u64BigEndian(binding.generation),
    Uint8Array.of(binding.t, binding.n, binding.index),
    binding.server,
    binding.keyId,
  );
}

/** Seals a share (or the store key) under a server key; nonce ‖ ciphertext ‖ tag. */
export function sealSlot(
  serverKey: SecretBytes,
  binding: SlotBinding,
  content: Uint8Array,
  random: RandomSource,
): Uint8Array {
  if (content.length !== slotContentBytes(binding.t)) {
    throw new RangeError(
      `a slot of t = ${binding.t} holds ${slotContentBytes(binding.t)} bytes, got ${content.length}`,
    );
  }
  const key = deriveKey(serverKey.reveal(), SLOT_LABEL);
  const nonce = random(XCHACHA_NONCE_BYTES);
  const sealed = concatBytes(nonce, xchacha20Poly1305Seal(key, nonce, associatedData(binding), content));
  key.fill(0);
  return sealed;
}

/** Opens a slot; `undefined` when the key is not the one that sealed it or anything that it is bound to changed. */
export function openSlot(
  serverKey: SecretBytes,
  binding: SlotBinding,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length !== sealedSlotBytes(binding.t)) return undefined;
  const key = deriveKey(serverKey.reveal(), SLOT_LABEL);
  const nonce = sealed.subarray(0, XCHACHA_NONCE_BYTES);
  const body = sealed.subarray(XCHACHA_NONCE_BYTES);
  const content = xchacha20Poly1305Open(key, nonce, associatedData(binding), body);
  key.fill(0);
  return content;
}

/** What a sealed lineage secret is bound to. */
export interface LineageBinding extends StoreIdentity {
  readonly generation: number;
}

/** Store id ‖ account ‖ generation (u64). */
const lineageData = ({ storeId, account, generation }: LineageBinding): Uint8Array =>
  concatBytes(storeId, account, u64BigEndian(generation));

/** Seals the lineage secret (32 bytes) under the store key; nonce ‖ ciphertext ‖ tag. */
export function sealLineageSecret(
  storeKey: SecretBytes,
  binding: LineageBinding,
  secret: SecretBytes,
  random: RandomSource,
): Uint8Array {
  const key = deriveKey(storeKey.reveal(), LINEAGE_LABEL);
  const nonce = random(XCHACHA_NONCE_BYTES);
  const sealed = xchacha20Poly1305Seal(key, nonce, lineageData(binding), secret.reveal());
  key.fill(0);
  return concatBytes(nonce, sealed);
}

/** Opens a sealed lineage secret; `undefined` when it was sealed under another store key or for another generation. */
export function openLineageSecret(
  storeKey: SecretBytes,
  binding: LineageBinding,
  sealed: Uint8Array,
): SecretBytes | undefined {
  if (sealed.length !== SEALED_LINEAGE_BYTES) return undefined;
  const key = deriveKey(storeKey.reveal(), LINEAGE_LABEL);
  const nonce = sealed.subarray(0, XCHACHA_NONCE_BYTES);
  const opened = xchacha20Poly1305Open(
    key,
    nonce,
    lineageData(binding),
    sealed.subarray(XCHACHA_NONCE_BYTES),
  );
  key.fill(0);
  return opened === undefined ? undefined : SecretBytes.adopt(opened);
}
