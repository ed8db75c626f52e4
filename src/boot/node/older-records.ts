import { concatBytes, equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { AccountId, InstanceId, SlotId } from '../../bytes/fixed-bytes.ts';
import { u64BigEndian } from '../../bytes/integers.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { BOOT_BYTES, type Reservation } from '../../lineage/incarnation.ts';

/** A server that had a slot of a lineage, and the process that issued it. */
export interface OldServer {
  readonly server: AccountId;
  /** The process that issued the key. */
  readonly instanceId: InstanceId;
  /**
   * On how many days the server had no record on the chain at any look, by the monotonic clock of the node; absent while
   * it has one.
   */
  readonly missingDays?: number;
}

/** A slot that left the keyslot file; its server may still hold its key. */
export interface OldSlot extends OldServer {
  readonly slotId: SlotId;
}

/** A generation that left the keyslot file, with the slots of which the servers have not shown that they are erased. */
export interface OldGeneration {
  readonly generation: number;
  readonly t: number;
  readonly slots: readonly OldSlot[];
}

/** The t of a generation with a store key that was never in force: its slots open no copy of the disk. */
export const OPENS_NOTHING = 0xff;

/** Of a generation of a former lineage, the servers that have not closed it. */
export interface FormerGeneration {
  readonly t: number;
  readonly servers: readonly OldServer[];
}

/** The lineage of a former store key, and where it is not closed. */
export interface OldLineage {
  /** 32 bytes. */
  readonly secret: SecretBytes;
  /** Number and random bytes of the boot that changed the key. */
  readonly last: Reservation;
  /** A later boot under this lineage: an operator accepted the loss of what it wrote. */
  readonly accepted?: Reservation;
  /** All generations of the lineage that servers may still have a slot of. */
  readonly generations: readonly FormerGeneration[];
}

/** How many days a server may be missing from the chain before its entries go: as long as servers remember a lineage. */
const MISSING_DAYS = 90;

const SECRET_BYTES = 32;
const NUMBER_BYTES = 8;
const LAST_BYTES = NUMBER_BYTES + BOOT_BYTES;
const NO_BOOT: Reservation = { number: 0, boot: new Uint8Array(BOOT_BYTES) };
const SERVER_BYTES = AccountId.byteLength + InstanceId.byteLength + NUMBER_BYTES;
const SLOT_BYTES = SlotId.byteLength + SERVER_BYTES;

const numberAt = (bytes: Uint8Array, at: number): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at));

/** Server ‖ instance id ‖ u64 days on which it was missing and 1 more, 0 while it is not. */
const encodeServer = ({ server, instanceId, missingDays = -1 }: OldServer): Uint8Array =>
  concatBytes(server, instanceId, u64BigEndian(missingDays + 1));

function decodeServer(bytes: Uint8Array): OldServer {
  const instanceAt = AccountId.byteLength;
  const daysAt = instanceAt + InstanceId.byteLength;
  const missingDays = numberAt(bytes, daysAt) - 1;
  return {
    server: AccountId.of(bytes.subarray(0, instanceAt)),
    instanceId: InstanceId.of(bytes.subarray(instanceAt, daysAt)),
    // More than that are no days: earlier builds noted the time since when it was missing.
    ...(missingDays < 0 ? {} : { missingDays: missingDays > MISSING_DAYS ? 0 : missingDays }),
  };
}

/** U8 t ‖ (slot id ‖ server)… */
export const encodeGeneration = ({ t, slots }: OldGeneration): Uint8Array =>
  concatBytes(Uint8Array.of(t), ...slots.flatMap((slot) => [slot.slotId, encodeServer(slot)]));

/** What {@link encodeGeneration} made. */
export function decodeGeneration(generation: number, bytes: Uint8Array): OldGeneration {
  const slots: OldSlot[] = [];
  for (let at = 1; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES) {
    const serverAt = at + SlotId.byteLength;
    slots.push({
      ...decodeServer(bytes.subarray(serverAt, at + SLOT_BYTES)),
      slotId: SlotId.of(bytes.subarray(at, serverAt)),
    });
  }
  return { generation, t: bytes[0] ?? 1, slots };
}

const encodeBoot = ({ number, boot }: Reservation): Uint8Array => concatBytes(u64BigEndian(number), boot);

const decodeBoot = (bytes: Uint8Array): Reservation => ({
  number: numberAt(bytes, 0),
  boot: copyBytes(bytes.subarray(NUMBER_BYTES)),
});

/** U8 t ‖ u8 count ‖ server… */
const encodeFormerGeneration = ({ t, servers }: FormerGeneration): Uint8Array =>
  concatBytes(Uint8Array.of(t, servers.length), ...servers.map(encodeServer));

/** Secret ‖ last boot ‖ accepted boot, zeros when there is none ‖ generation…; a boot is u64 number ‖ 8 bytes. The caller wipes it. */
export const encodeLineage = ({ secret, last, accepted = NO_BOOT, generations }: OldLineage): Uint8Array =>
  concatBytes(
    secret.reveal(),
    encodeBoot(last),
    encodeBoot(accepted),
    ...generations.map(encodeFormerGeneration),
  );

/** What {@link encodeLineage} made. */
export function decodeLineage(bytes: Uint8Array): OldLineage {
  const acceptedAt = SECRET_BYTES + LAST_BYTES;
  const generationsAt = acceptedAt + LAST_BYTES;
  const accepted = decodeBoot(bytes.subarray(acceptedAt, generationsAt));
  const generations: FormerGeneration[] = [];
  for (let at = generationsAt; at + 2 <= bytes.length; ) {
    const [t = 1, count = 0] = bytes.subarray(at, at + 2);
    const end = at + 2 + count * SERVER_BYTES;
    const servers: OldServer[] = [];
    for (at += 2; at < end; at += SERVER_BYTES)
      servers.push(decodeServer(bytes.subarray(at, at + SERVER_BYTES)));
    generations.push({ t, servers });
  }
  return {
    secret: SecretBytes.adopt(copyBytes(bytes.subarray(0, SECRET_BYTES))),
    last: decodeBoot(bytes.subarray(SECRET_BYTES, acceptedAt)),
    ...(accepted.number === 0 ? {} : { accepted }),
    generations,
  };
}

/** Whether a server has no record on the chain now. */
export const isMissing = ({ missingDays }: OldServer): boolean => missingDays !== undefined;

/** Whether an older copy of the disk may open: t slots may give their keys, and a missing server is not asked for any. */
export const isOpen = ({ slots, t }: OldGeneration): boolean => canOpen(slots, t);

/** Whether a copy of the disk from before the change of the store key may open by this generation of that time. */
export const isFormerOpen = ({ servers, t }: FormerGeneration): boolean => canOpen(servers, t);

const canOpen = (entries: readonly OldServer[], t: number): boolean =>
  entries.filter((entry) => !isMissing(entry)).length >= t;

/** The servers that have not closed a lineage, each process once. */
export const unclosedAt = ({ generations }: Pick<OldLineage, 'generations'>): readonly OldServer[] =>
  generations
    .flatMap(({ servers }) => servers)
    .filter((one, at, all) => all.findIndex((other) => isSameProcess(one, other)) === at);

/** A lineage with other entries; generations without any go. */
export const withServers = (
  old: OldLineage,
  change: (servers: readonly OldServer[]) => readonly OldServer[],
): OldLineage => ({
  ...old,
  generations: old.generations
    .map(({ t, servers }) => ({ t, servers: change(servers) }))
    .filter(({ servers }) => servers.length > 0),
});

/** Whether two entries are of one process of one server. */
export const isSameProcess = (one: OldServer, other: OldServer): boolean =>
  equalBytes(one.server, other.server) && equalBytes(one.instanceId, other.instanceId);

/**
 * Entries with the days on which their servers were missing from the chain, and without those that were for too many;
 * `undefined` when nothing changes.
 * @param isNewDay whether a day has ended since the last call that said so.
 */
export function withMissing<Entry extends OldServer>(
  entries: readonly Entry[],
  hasRecord: (server: AccountId) => boolean,
  isNewDay: boolean,
): readonly Entry[] | undefined {
  const changed = entries.flatMap((entry): readonly Entry[] => {
    const { missingDays, ...rest } = entry;
    if (hasRecord(entry.server)) return missingDays === undefined ? [entry] : [rest as Entry];
    // The first day is not a whole one.
    if (missingDays === undefined) return [{ ...entry, missingDays: 0 }];
    if (!isNewDay) return [entry];
    return missingDays < MISSING_DAYS ? [{ ...entry, missingDays: missingDays + 1 }] : [];
  });
  const isSame = changed.length === entries.length && changed.every((entry, at) => entry === entries[at]);
  return isSame ? undefined : changed;
}
