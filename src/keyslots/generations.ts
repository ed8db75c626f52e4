import { equalBytes } from '../bytes/concat.ts';
import type { AccountId, InstanceId, KeyId, SlotId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { deriveKey, hmacSha256 } from '../crypto/hkdf.ts';
import type { RandomSource } from '../crypto/random.ts';
import { splitSecret } from '../crypto/shamir.ts';
import { type CustodyPolicy, splitAmongCustodians } from './custody-parts.ts';
import { macInput } from './keyslot-codec.ts';
import type { GenerationCustody } from './keyslot-file.ts';
import {
  confirmedSlots,
  findSlot,
  type Generation,
  isComplete,
  type KeyslotFile,
  type Slot,
  type StoreIdentity,
} from './keyslot-file.ts';
import { sealLineageSecret, sealSlot } from './slot-seal.ts';
import { MAX_SLOTS, type Quorum } from './threshold.ts';

/** HKDF label of the MAC key, from the store key; the only one without a prefix, and part of format 1. */
export const KEYSLOTS_LABEL = 'keyslots';

/** A server that gave a fresh key for a new slot, and linked it to the lineage. */
export interface EnrolledServer {
  readonly server: AccountId;
  readonly slotId: SlotId;
  readonly keyId: KeyId;
  /** The server key, 32 bytes; only read here. */
  readonly key: SecretBytes;
  /** 32 bytes. */
  readonly recoveryToken: SecretBytes;
  /** The process that issued the key. */
  readonly instanceId: InstanceId;
}

/** The input of a new generation. */
export interface GenerationInput extends StoreIdentity {
  readonly storeKey: SecretBytes;
  /** 32 bytes. */
  readonly lineageSecret: SecretBytes;
  /** From {@link nextGeneration}. */
  readonly generation: number;
  readonly quorum: Quorum;
  /** t to n servers, each once, with slot ids that were never used before. */
  readonly enrolled: readonly EnrolledServer[];
  /** The custodians that get parts of the store key; by default there are none. */
  readonly custody?: CustodyPolicy | undefined;
  /** The custody of the generation before, when its store key is the same one. */
  readonly formerCustody?: GenerationCustody | undefined;
}

/** The number of the next generation. */
export const nextGeneration = (file: KeyslotFile | undefined): number =>
  (file?.generations[0].generation ?? 0) + 1;

/**
 * Makes a generation: a fresh polynomial, one slot per server, each confirmed when it was linked, and the MAC. With
 * fewer than n servers the remaining shares are thrown away: such a generation opens the store but never makes it backed.
 * @throws RangeError when t, n or the number of servers do not fit, or a server or slot id comes twice.
 */
export async function buildGeneration(input: GenerationInput, random: RandomSource): Promise<Generation> {
  const { enrolled, storeKey, generation } = input;
  const { t, n } = input.quorum;
  requireShape(input);
  const contents = await contentsFor(storeKey, t, n);
  const slots = enrolled.map((server, index): Slot => {
    const content = contents[index];
    if (content === undefined) throw new RangeError(`there are only ${n} shares`);
    const binding = {
      ...identityOf(input),
      generation,
      t,
      n,
      index,
      server: server.server,
      keyId: server.keyId,
    };
    return {
      index,
      server: server.server,
      slotId: server.slotId,
      keyId: server.keyId,
      recoveryToken: server.recoveryToken,
      instanceId: server.instanceId,
      confirmed: true,
      sealed: sealSlot(server.key, binding, content, random),
    };
  });
  for (const content of contents) content.fill(0);
  const lineage = sealLineageSecret(
    storeKey,
    { ...identityOf(input), generation },
    input.lineageSecret,
    random,
  );
  const custody =
    input.custody === undefined
      ? undefined
      : splitAmongCustodians(
          storeKey,
          { ...identityOf(input), generation },
          input.custody,
          input.formerCustody,
          random,
        );
  return sign(input, { generation, t, n, slots, lineage, custody }, storeKey);
}

const identityOf = ({ account, storeId }: StoreIdentity): StoreIdentity => ({ account, storeId });

function requireShape({ quorum: { t, n }, enrolled, generation }: GenerationInput): void {
  if (!Number.isInteger(t) || !Number.isInteger(n) || t < 1 || t > n || n > MAX_SLOTS) {
    throw new RangeError(`a generation needs 1 ≤ t ≤ n ≤ ${MAX_SLOTS}, got t = ${t}, n = ${n}`);
  }
  if (enrolled.length < t || enrolled.length > n) {
    throw new RangeError(`a generation of ${t} of ${n} needs ${t} to ${n} servers, got ${enrolled.length}`);
  }
  if (!Number.isSafeInteger(generation) || generation < 1)
    throw new RangeError(`${generation} is no generation`);
  for (const field of ['server', 'slotId'] as const) {
    const values = enrolled.map((server) => toHex(server[field]));
    if (new Set(values).size !== values.length) throw new RangeError(`a ${field} is enrolled twice`);
  }
}

/** n contents: shares, or with t = 1 the store key itself n times. */
async function contentsFor(storeKey: SecretBytes, t: number, n: number): Promise<readonly Uint8Array[]> {
  if (t === 1) return Array.from({ length: n }, () => new Uint8Array(storeKey.reveal()));
  return splitSecret(storeKey.reveal(), t, n);
}

function macOf(covered: Uint8Array, storeKey: Uint8Array): Uint8Array {
  const key = deriveKey(storeKey, KEYSLOTS_LABEL);
  const mac = hmacSha256(key, covered);
  key.fill(0);
  return mac;
}

function sign(
  identity: StoreIdentity,
  { generation, t, n, slots, lineage, custody }: Omit<Generation, 'mac'>,
  storeKey: SecretBytes,
): Generation {
  const content = { generation, t, n, slots, lineage, custody };
  return { ...content, mac: macOf(macInput(identity, content), storeKey.reveal()) };
}

/**
 * Checks whether a generation was made, and last changed, under a store key (32 bytes). Made once for many
 * candidates, because writing out what the MAC covers costs more than the MAC.
 */
export function generationVerifier(
  identity: StoreIdentity,
  generation: Generation,
): (storeKey: Uint8Array) => boolean {
  const covered = macInput(identity, generation);
  return (storeKey) => equalConstantTime(macOf(covered, storeKey), generation.mac);
}

/** The first file of a store. */
export const firstFile = (identity: StoreIdentity, generation: Generation): KeyslotFile => ({
  ...identityOf(identity),
  generations: [generation],
});

/** A file with a new generation, and the generations that were removed from it. */
export interface Replacement {
  readonly file: KeyslotFile;
  /** Generations with server keys that are to be erased once the file is durably replaced. */
  readonly dropped: readonly Generation[];
}

/** Numbers of live and possible slots of a generation. */
export interface SlotCounts {
  /** How many are known to live. */
  readonly live: number;
  /** How many are not proved to be lost: the live ones, and those of servers that are only silent. */
  readonly possible: number;
}

/**
 * Puts a new generation in front. Of the present ones the more useful stays behind it: one that may open the store
 * before one that certainly cannot any more, then one that opens it now, then a complete one, then the one with more
 * live slots to spare, then the one with more possible ones, then the newer.
 * @param countsOf by default the slots that were confirmed live, and no slot is lost.
 * @throws RangeError when the generation is not newer than those in the file.
 */
export function addGeneration(
  file: KeyslotFile,
  newer: Generation,
  countsOf: (generation: Generation) => SlotCounts = (generation) => ({
    live: confirmedSlots(generation),
    possible: generation.slots.length,
  }),
): Replacement {
  if (newer.generation <= file.generations[0].generation) {
    throw new RangeError(
      `generation ${newer.generation} is not newer than ${file.generations[0].generation}`,
    );
  }
  const worth = (generation: Generation): readonly number[] => {
    const { live, possible } = countsOf(generation);
    const spare = live - generation.t;
    return [
      Number(possible >= generation.t),
      Number(spare >= 0),
      Number(isComplete(generation)),
      spare,
      possible - generation.t,
      generation.generation,
    ];
  };
  const [kept, ...dropped] = [...file.generations].sort((a, b) => compareLists(worth(b), worth(a)));
  if (kept === undefined) throw new TypeError('a keyslot file has a generation');
  return { file: { ...identityOf(file), generations: [newer, kept] }, dropped };
}

function compareLists(a: readonly number[], b: readonly number[]): number {
  const differing = a.findIndex((value, index) => value !== b[index]);
  return (a[differing] ?? 0) - (b[differing] ?? 0);
}

/**
 * Notes that `key-status` proved a slot at a server process.
 * @returns the changed file, or the same one when the slot is unknown, was confirmed already, or was issued by another
 *   process: that one's memory is gone, so the slot is dead.
 */
export function confirmSlot(
  file: KeyslotFile,
  storeKey: SecretBytes,
  slotId: SlotId,
  instanceId: InstanceId,
): KeyslotFile {
  const issuer = findSlot(file, slotId)?.slot.instanceId;
  if (issuer === undefined || !equalBytes(issuer, instanceId)) return file;
  return setConfirmed(file, storeKey, slotId, true);
}

/** Notes that a slot is dead after all (its server lost its memory), so that its generation is not complete. */
export const withdrawSlot = (file: KeyslotFile, storeKey: SecretBytes, slotId: SlotId): KeyslotFile =>
  setConfirmed(file, storeKey, slotId, false);

function setConfirmed(
  file: KeyslotFile,
  storeKey: SecretBytes,
  slotId: SlotId,
  confirmed: boolean,
): KeyslotFile {
  const found = findSlot(file, slotId);
  if (found === undefined || found.slot.confirmed === confirmed) return file;
  const slots = found.generation.slots.map((slot) => (slot === found.slot ? { ...slot, confirmed } : slot));
  const changed = sign(file, { ...found.generation, slots }, storeKey);
  const replace = (generation: Generation): Generation =>
    generation === found.generation ? changed : generation;
  const [first, second] = file.generations;
  return {
    ...identityOf(file),
    generations: second === undefined ? [replace(first)] : [replace(first), replace(second)],
  };
}

/**
 * Gives up the older generation, if the newer one alone makes the store backed: n slots, each confirmed at the
 * process that issued it.
 */
export function dropOlder(file: KeyslotFile): Replacement {
  const [newer, older] = file.generations;
  if (older === undefined || !isComplete(newer)) return { file, dropped: [] };
  return { file: { ...identityOf(file), generations: [newer] }, dropped: [older] };
}
