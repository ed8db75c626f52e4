import type { AccountId, InstanceId, KeyId, SlotId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { Quorum } from './threshold.ts';

/** Bytes of a store's id. */
export const STORE_ID_BYTES = 16;

/** Which store the slots open, and the account that owns it. */
export interface StoreIdentity {
  readonly account: AccountId;
  /** 16 bytes. */
  readonly storeId: Uint8Array;
}

/** One server's part of a generation. */
export interface Slot {
  /** i, from 0 to n − 1. */
  readonly index: number;
  /** Account of the server that holds the key. */
  readonly server: AccountId;
  readonly slotId: SlotId;
  readonly keyId: KeyId;
  /** 32 bytes; proves to the server that this account, and not only its name, asks for the key. */
  readonly recoveryToken: SecretBytes;
  /** The server process that issued the key. */
  readonly instanceId: InstanceId;
  /** Whether `key-status` has proved, at that instance, that the server still holds the key. */
  readonly confirmed: boolean;
  /** Nonce ‖ XChaCha20-Poly1305 of the share, or of the store key itself when t = 1. */
  readonly sealed: Uint8Array;
}

/** What one custodian has of a generation. */
export interface CustodyPart {
  /** Name of the custodian in the trust section. */
  readonly custodian: string;
  /** Encapsulated key ‖ ciphertext ‖ tag, 1185 bytes. */
  readonly sealed: Uint8Array;
  /** SHA-256("latchkey/v1/custody/part" ‖ part), 32 bytes; tells a wrong part from the right one. */
  readonly digest: Uint8Array;
}

/** How the store key of a generation is split among custodians. */
export interface GenerationCustody {
  /** Whether custodians of another set have parts of the same store key, in older keyslot files. */
  readonly formerSets: boolean;
  /** How many parts give the store key; 0 when the present trust section names no custodian. */
  readonly threshold: number;
  /** Digest of the set of custodians, 32 bytes; zeros when there are none. */
  readonly set: Uint8Array;
  /** One for each custodian, ascending by name. */
  readonly parts: readonly CustodyPart[];
}

/** All slots that were made from one polynomial. */
export interface Generation extends Quorum {
  /** Counts up from 1; never used twice. */
  readonly generation: number;
  /** t to n slots, ascending by index, no server twice. Fewer than n only while the node cannot find n servers. */
  readonly slots: readonly Slot[];
  /** The lineage secret, sealed under the store key: nonce ‖ XChaCha20-Poly1305. */
  readonly lineage: Uint8Array;
  /** The parts of custodians; absent while there never was one. */
  readonly custody?: GenerationCustody | undefined;
  /** 32 bytes; under a key derived from the store key, over all of the above and the store's identity. */
  readonly mac: Uint8Array;
}

/** The content of the keyslot file: one or two generations, the newer first. */
export interface KeyslotFile extends StoreIdentity {
  readonly generations: readonly [Generation] | readonly [Generation, Generation];
}

/** Finds a slot by its id. */
export function findSlot(
  file: KeyslotFile,
  slotId: SlotId,
): { readonly generation: Generation; readonly slot: Slot } | undefined {
  const name = toHex(slotId);
  for (const generation of file.generations) {
    const slot = generation.slots.find((candidate) => toHex(candidate.slotId) === name);
    if (slot !== undefined) return { generation, slot };
  }
  return undefined;
}

/** How many slots were confirmed at the instances that issued them. */
export const confirmedSlots = ({ slots }: Generation): number =>
  slots.filter((slot) => slot.confirmed).length;

/** Whether the generation alone makes the store *backed*: n slots, all confirmed. */
export const isComplete = (generation: Generation): boolean => confirmedSlots(generation) === generation.n;
