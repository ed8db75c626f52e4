import { concatBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import { sha256 } from '../crypto/sha2.ts';
import { SHARE_BYTES, splitSecret } from '../crypto/shamir.ts';
import { X_WING_CIPHERTEXT_BYTES } from '../crypto/x-wing.ts';
import { openWithXWing, sealToXWing, X_WING_SEALED_EXTRA_BYTES } from '../hpke/hpke-x-wing.ts';
import { type CustodySet, custodySetDigest } from '../trust/custody-set.ts';
import type { CustodyPart, GenerationCustody, StoreIdentity } from './keyslot-file.ts';

/** HPKE `info` of a sealed part, and start of the digest of a part. */
export const PART_LABEL: Uint8Array = utf8('latchkey/v1/custody/part');
/** Length of a platform's id (PPID). */
export const PLATFORM_BYTES = 16;
/** A part: a share of the store key, then the platform on which it was made. */
export const PART_BYTES = SHARE_BYTES + PLATFORM_BYTES;
/** Length of a sealed part: encapsulated key, part, tag. */
export const SEALED_PART_BYTES = PART_BYTES + X_WING_SEALED_EXTRA_BYTES;

/** The custodians of a node, and the platform that it runs on. */
export interface CustodyPolicy {
  /** `undefined`: the trust section names none. */
  readonly set: CustodySet | undefined;
  /** PPID of this machine, 16 bytes. */
  readonly platform: Uint8Array;
}

/** Everything that a sealed part is bound to. */
export interface PartBinding extends StoreIdentity {
  readonly generation: number;
  readonly threshold: number;
  /** How many parts there are. */
  readonly count: number;
  /** Position of the part, from 0. */
  readonly index: number;
  /** Digest of the set of custodians, 32 bytes. */
  readonly set: Uint8Array;
}

/** Store id ‖ account ‖ generation (u64) ‖ threshold ‖ count ‖ index (one byte each) ‖ digest of the set. */
const associatedData = ({ storeId, account, generation, threshold, count, index, set }: PartBinding) =>
  concatBytes(storeId, account, u64BigEndian(generation), Uint8Array.of(threshold, count, index), set);

/** SHA-256("latchkey/v1/custody/part" ‖ part), 32 bytes. */
export const partDigest = (part: Uint8Array): Uint8Array => sha256(PART_LABEL, part);

/** The digest of all parts of a generation as the keyslot file has them, 32 bytes: SHA-256 over sealed ‖ digest of each. */
export const partsDigest = (parts: readonly CustodyPart[]): Uint8Array =>
  sha256(PART_LABEL, ...parts.flatMap(({ sealed, digest }) => [sealed, digest]));

/** The share in a part, 33 bytes: a view. */
export const shareOfPart = (part: Uint8Array): Uint8Array => part.subarray(0, SHARE_BYTES);

/** The platform in a part, 16 bytes: a view. */
export const platformOfPart = (part: Uint8Array): Uint8Array => part.subarray(SHARE_BYTES);

/**
 * Splits a store key among custodians, and seals each part to its custodian.
 * @param former the generation before, when its store key is the same one.
 * @returns `undefined` when there are no custodians now and there were none before.
 */
export function splitAmongCustodians(
  storeKey: SecretBytes,
  identity: StoreIdentity & { readonly generation: number },
  { set, platform }: CustodyPolicy,
  former: GenerationCustody | undefined,
  random: RandomSource,
): GenerationCustody | undefined {
  const digest = set === undefined ? new Uint8Array(32) : custodySetDigest(set);
  const formerSets = former !== undefined && (former.formerSets || !equalBytes(former.set, digest));
  if (set === undefined) return formerSets ? { formerSets, threshold: 0, set: digest, parts: [] } : undefined;
  if (platform.length !== PLATFORM_BYTES) throw new RangeError('a platform id has 16 bytes');
  const { threshold, custodians } = set;
  const count = custodians.length;
  const shares = splitSecret(storeKey.reveal(), threshold, count, random);
  const parts = custodians.map(({ name, key }, index): CustodyPart => {
    const share = shares[index];
    if (share === undefined) throw new RangeError(`there are only ${count} shares`);
    const part = concatBytes(share, platform);
    share.fill(0);
    const aad = associatedData({ ...identity, threshold, count, index, set: digest });
    const { enc, ciphertext } = sealToXWing(
      { recipientPublicKey: key, info: PART_LABEL, aad, plaintext: part },
      random,
    );
    const made = { custodian: name, sealed: concatBytes(enc, ciphertext), digest: partDigest(part) };
    part.fill(0);
    return made;
  });
  return { formerSets, threshold, set: digest, parts };
}

/** Opens a sealed part with the seed of its custodian (32 bytes); `undefined` when anything does not match. */
export function openPart(seed: Uint8Array, binding: PartBinding, sealed: Uint8Array): Uint8Array | undefined {
  const part = openWithXWing({
    seed,
    info: PART_LABEL,
    aad: associatedData(binding),
    enc: sealed.subarray(0, X_WING_CIPHERTEXT_BYTES),
    ciphertext: sealed.subarray(X_WING_CIPHERTEXT_BYTES),
  });
  return part?.length === PART_BYTES ? part : undefined;
}

/** Whether a generation is split among exactly the present custodians. */
export function isSplitAmong(custody: GenerationCustody | undefined, set: CustodySet | undefined): boolean {
  if (custody === undefined || custody.parts.length === 0) return set === undefined;
  return set !== undefined && equalBytes(custody.set, custodySetDigest(set));
}
