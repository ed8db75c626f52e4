import { utf8 } from '../bytes/concat.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import { XChaCha20Key } from '../crypto/xchacha20-key.ts';
import { XCHACHA_NONCE_BYTES, XCHACHA_TAG_BYTES } from '../crypto/xchacha20-poly1305.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { idText, type Ritual } from './ritual.ts';

const TIMESTAMP_BYTES = 8;

const associatedData = (id: number): Uint8Array => utf8(`latchkey/v1/ritual/${idText(id)}`);

/** A ritual as it is stored: timestamp (u64) ‖ nonce (24) ‖ fragment under the ritual's own key ‖ tag (16). */
export function sealRitual(
  { id, timestamp, fragment }: Ritual,
  key: SecretBytes,
  random: RandomSource,
): Uint8Array {
  const sealed = new Uint8Array(TIMESTAMP_BYTES + XCHACHA_NONCE_BYTES + fragment.length + XCHACHA_TAG_BYTES);
  sealed.set(u64BigEndian(timestamp));
  const cipher = new XChaCha20Key(key.reveal());
  cipher.sealInto(sealed, TIMESTAMP_BYTES, random(XCHACHA_NONCE_BYTES), associatedData(id), fragment);
  cipher.wipe();
  return sealed;
}

/** Opens what {@link sealRitual} made. @throws ProblemError RITUAL_RECORD_DAMAGED when it does not open. */
export function openRitual(id: number, sealed: Uint8Array, key: SecretBytes): Ritual {
  const cipher = new XChaCha20Key(key.reveal());
  const fragment = cipher.open(sealed.subarray(TIMESTAMP_BYTES), associatedData(id));
  cipher.wipe();
  if (fragment === undefined) throw damaged(id);
  return { id, timestamp: timestampOf(id, sealed), fragment: new Uint8Array(fragment) };
}

/** The time of a stored ritual, which needs no key. @throws ProblemError RITUAL_RECORD_DAMAGED. */
export function timestampOf(id: number, sealed: Uint8Array): number {
  const timestamp = sealed.length < TIMESTAMP_BYTES ? Number.NaN : Number(readU64BigEndian(sealed));
  if (Number.isSafeInteger(timestamp)) return timestamp;
  throw damaged(id);
}

/** The error for a stored ritual that cannot be read. */
export const damaged = (id: number): ProblemError =>
  new ProblemError('RITUAL_RECORD_DAMAGED', `the record of ritual ${id} is damaged`);
