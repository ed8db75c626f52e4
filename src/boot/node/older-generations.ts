import { concatBytes, equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { AccountId, InstanceId, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { u64BigEndian } from '../../bytes/integers.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { sha256 } from '../../crypto/sha2.ts';
import type { Generation } from '../../keyslots/keyslot-file.ts';
import { BOOT_BYTES, type Reservation } from '../../lineage/incarnation.ts';
import type { Namespace, Store } from '../../store/api/store-api.ts';
import { LINEAGE_NAMESPACE } from './boot-record.ts';

/** A slot that left the keyslot file; its server may still hold its key. */
export interface OldSlot {
  readonly server: AccountId;
  readonly slotId: SlotId;
  /** The process that issued the key. */
  readonly instanceId: InstanceId;
}

/** A generation that left the keyslot file, with the slots of which the servers have not shown that they are erased. */
export interface OldGeneration {
  readonly generation: number;
  readonly t: number;
  readonly slots: readonly OldSlot[];
}

/** The lineage of a former store key, and the servers that have not closed it. */
export interface OldLineage {
  /** 32 bytes. */
  readonly secret: SecretBytes;
  /** Number and random bytes of the boot that changed the key. */
  readonly last: Reservation;
  readonly servers: readonly OldServer[];
}

/** A server that had a slot of a lineage, and the process that issued it. */
export type OldServer = Pick<OldSlot, 'server' | 'instanceId'>;

const GENERATION = 'generation/';
const LINEAGE = 'former/';
const SECRET_BYTES = 32;
const TAG_BYTES = 16;
const NUMBER_BYTES = 8;
const generationName = (generation: number): string => `${GENERATION}${String(generation).padStart(16, '0')}`;
/** Names a lineage in the store without telling its secret: the first 16 bytes of the secret's SHA-256. */
const tagOf = (secret: SecretBytes): Uint8Array => sha256(secret.reveal()).subarray(0, TAG_BYTES);
const lineageName = (secret: SecretBytes): string => `${LINEAGE}${toHex(tagOf(secret))}`;

/**
 * What a node left behind and servers may still hold: while t slots of an older generation live, an older copy of the
 * disk opens. Kept in the store, so that the servers are asked until they answer, across restarts. A store that cannot
 * be written keeps no one from healing: what is not durable yet is kept in memory and tried again.
 */
export class OlderGenerations {
  readonly #namespace: Namespace;
  readonly #tag: Uint8Array;
  readonly #generations = new Map<number, OldGeneration>();
  readonly #lineages = new Map<string, OldLineage>();
  /** Names of records that are not as durable as they are here. */
  readonly #unsaved = new Set<string>();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(namespace: Namespace, tag: Uint8Array) {
    this.#namespace = namespace;
    this.#tag = tag;
  }

  /**
   * Reads what a store has.
   * @param secret of the present lineage; generations of a former one end when that is closed.
   */
  static async open(store: Store, secret: SecretBytes): Promise<OlderGenerations> {
    const older = new OlderGenerations(await store.namespace(LINEAGE_NAMESPACE), tagOf(secret));
    for (const name of [...older.#namespace.names()]) await older.#read(name);
    return older;
  }

  get generations(): readonly OldGeneration[] {
    return [...this.#generations.values()];
  }

  get lineages(): readonly OldLineage[] {
    return [...this.#lineages.values()];
  }

  /** The generations that can still open an older copy of the disk: t of their slots may give their keys. */
  get open(): readonly OldGeneration[] {
    return this.generations.filter(({ slots, t }) => slots.length >= t);
  }

  /** Notes generations that leave the keyslot file. @returns whether that is durable now. */
  leave(generations: readonly Generation[]): Promise<boolean> {
    return this.#oneAfterAnother(async () => {
      for (const { generation, t, slots } of generations) {
        this.#generations.set(generation, {
          generation,
          t,
          slots: slots.map(({ server, slotId, instanceId }) => ({ server, slotId, instanceId })),
        });
        this.#unsaved.add(generationName(generation));
      }
      return await this.#save();
    });
  }

  /** Notes that slots are erased, or lost for good. */
  erased(slotIds: readonly SlotId[]): Promise<boolean> {
    return this.#oneAfterAnother(async () => {
      for (const old of this.generations) {
        const slots = old.slots.filter(({ slotId }) => !slotIds.some((id) => equalBytes(id, slotId)));
        if (slots.length === old.slots.length) continue;
        if (slots.length === 0) this.#generations.delete(old.generation);
        else this.#generations.set(old.generation, { ...old, slots });
        this.#unsaved.add(generationName(old.generation));
      }
      return await this.#save();
    });
  }

  /** Notes a lineage that is to be closed, before the store key changes; resolves when it is durable. */
  leaveLineage(old: OldLineage): Promise<void> {
    return this.#oneAfterAnother(async () => {
      const name = lineageName(old.secret);
      await this.#putLineage(name, old);
      this.#lineages.get(name)?.secret.wipe();
      this.#lineages.set(name, old);
    });
  }

  /** Notes that a lineage stays in force after all: the store key was not changed. */
  keepLineage(secret: SecretBytes): Promise<void> {
    return this.#oneAfterAnother(async () => {
      const name = lineageName(secret);
      if (!this.#lineages.has(name)) return;
      await this.#namespace.delete(name);
      this.#lineages.get(name)?.secret.wipe();
      this.#lineages.delete(name);
    });
  }

  /** Notes that processes of servers have closed a lineage, or lost it for good. */
  closed(secret: SecretBytes, servers: readonly OldServer[]): Promise<boolean> {
    return this.#oneAfterAnother(async () => {
      const name = lineageName(secret);
      const old = this.#lineages.get(name);
      if (old === undefined) return true;
      const rest = old.servers.filter((one) => !servers.some((other) => isSameProcess(one, other)));
      if (rest.length === 0) {
        old.secret.wipe();
        this.#lineages.delete(name);
      } else {
        this.#lineages.set(name, { ...old, servers: rest });
      }
      this.#unsaved.add(name);
      return await this.#save();
    });
  }

  /** Tries again to make durable what was not. */
  saveMissing(): Promise<boolean> {
    return this.#oneAfterAnother(() => this.#save());
  }

  /** Wipes the secrets of former lineages. */
  wipe(): void {
    for (const { secret } of this.#lineages.values()) secret.wipe();
  }

  async #save(): Promise<boolean> {
    try {
      for (const name of [...this.#unsaved]) {
        await this.#put(name);
        this.#unsaved.delete(name);
      }
    } catch {
      // Tried again at every look at the slots; the store reports its own faults.
      return false;
    }
    return true;
  }

  async #put(name: string): Promise<void> {
    const lineage = this.#lineages.get(name);
    const old = this.generations.find(({ generation }) => generationName(generation) === name);
    if (lineage !== undefined) await this.#putLineage(name, lineage);
    else if (old !== undefined) await this.#namespace.put(name, encodeGeneration(this.#tag, old));
    else await this.#namespace.delete(name);
  }

  async #putLineage(name: string, old: OldLineage): Promise<void> {
    const bytes = encodeLineage(old);
    try {
      await this.#namespace.put(name, bytes);
    } finally {
      bytes.fill(0);
    }
  }

  async #read(name: string): Promise<void> {
    if (!name.startsWith(GENERATION) && !name.startsWith(LINEAGE)) return;
    const bytes = await this.#namespace.get(name);
    if (bytes === undefined) return;
    if (name.startsWith(LINEAGE)) {
      this.#lineages.set(name, decodeLineage(bytes));
      bytes.fill(0);
    } else if (equalBytes(bytes.subarray(0, TAG_BYTES), this.#tag)) {
      const old = decodeGeneration(Number(name.slice(GENERATION.length)), bytes.subarray(TAG_BYTES));
      this.#generations.set(old.generation, old);
    } else {
      // Its slots are erased when the lineage that it belongs to is closed.
      this.#unsaved.add(name);
    }
  }

  #oneAfterAnother<T>(change: () => Promise<T>): Promise<T> {
    const next = this.#last.then(change, change);
    this.#last = next.catch(() => undefined);
    return next;
  }
}

const isSameProcess = (one: OldServer, other: OldServer): boolean =>
  equalBytes(one.server, other.server) && equalBytes(one.instanceId, other.instanceId);

const SERVER_BYTES = AccountId.byteLength + InstanceId.byteLength;
const SLOT_BYTES = AccountId.byteLength + SlotId.byteLength + InstanceId.byteLength;

/** Tag of the lineage ‖ u8 t ‖ (server ‖ slot id ‖ instance id)… */
const encodeGeneration = (tag: Uint8Array, { t, slots }: OldGeneration): Uint8Array =>
  concatBytes(
    tag,
    Uint8Array.of(t),
    ...slots.flatMap(({ server, slotId, instanceId }) => [server, slotId, instanceId]),
  );

function decodeGeneration(generation: number, bytes: Uint8Array): OldGeneration {
  const slots: OldSlot[] = [];
  for (let at = 1; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES) {
    const slotAt = at + AccountId.byteLength;
    const instanceAt = slotAt + SlotId.byteLength;
    slots.push({
      server: AccountId.of(bytes.subarray(at, slotAt)),
      slotId: SlotId.of(bytes.subarray(slotAt, instanceAt)),
      instanceId: InstanceId.of(bytes.subarray(instanceAt, at + SLOT_BYTES)),
    });
  }
  return { generation, t: bytes[0] ?? 1, slots };
}

/** Secret ‖ u64 number ‖ boot ‖ (server ‖ instance id)… */
const encodeLineage = ({ secret, last, servers }: OldLineage): Uint8Array =>
  concatBytes(
    secret.reveal(),
    u64BigEndian(last.number),
    last.boot,
    ...servers.flatMap(({ server, instanceId }) => [server, instanceId]),
  );

function decodeLineage(bytes: Uint8Array): OldLineage {
  const bootAt = SECRET_BYTES + NUMBER_BYTES;
  const serversAt = bootAt + BOOT_BYTES;
  const servers: OldServer[] = [];
  for (let at = serversAt; at + SERVER_BYTES <= bytes.length; at += SERVER_BYTES) {
    const instanceAt = at + AccountId.byteLength;
    servers.push({
      server: AccountId.of(bytes.subarray(at, instanceAt)),
      instanceId: InstanceId.of(bytes.subarray(instanceAt, at + SERVER_BYTES)),
    });
  }
  const number = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(SECRET_BYTES));
  return {
    secret: SecretBytes.adopt(copyBytes(bytes.subarray(0, SECRET_BYTES))),
    last: { number, boot: copyBytes(bytes.subarray(bootAt, serversAt)) },
    servers,
  };
}
