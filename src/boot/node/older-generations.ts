import { concatBytes, equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import type { AccountId, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { u64BigEndian } from '../../bytes/integers.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { findSlot, type Generation, type KeyslotFile } from '../../keyslots/keyslot-file.ts';
import { BOOT_BYTES, type Incarnation } from '../../lineage/incarnation.ts';
import type { Namespace, Store } from '../../store/api/store-api.ts';
import { LINEAGE_NAMESPACE } from './boot-record.ts';
import {
  decodeGeneration,
  decodeLineage,
  encodeGeneration,
  encodeLineage,
  isOpen,
  isSameProcess,
  type OldGeneration,
  type OldLineage,
  type OldServer,
  unclosedAt,
  withMissing,
  withServers,
} from './older-records.ts';

/** Generations that are remembered; a server that never answers leaves one slot in each. */
const MAX_GENERATIONS = 256;
/** Former lineages that are remembered; each is a change of the store key. */
const MAX_LINEAGES = 64;

const DAY_MS = 24 * 3_600_000;

const GENERATION = 'generation/';
const MADE = 'made/';
const LINEAGE = 'former/';
/** How many entries made room while they could still open an older copy of the disk; u64. */
const DROPPED = 'dropped';
const TAG_BYTES = 16;
const numbered = (kind: string, generation: number): string =>
  `${kind}${String(generation).padStart(16, '0')}`;
const generationName = (generation: number): string => numbered(GENERATION, generation);
const madeName = (generation: number): string => numbered(MADE, generation);
/** Names a lineage in the store without telling its secret: the first 16 bytes of the secret's SHA-256. */
const tagOf = (secret: SecretBytes): Uint8Array => sha256(secret.reveal()).subarray(0, TAG_BYTES);
const lineageName = (tag: Uint8Array): string => `${LINEAGE}${toHex(tag)}`;

/**
 * What a node left behind and servers may still hold: while t slots of an older generation live, an older copy of the
 * disk opens. Kept in the store, so that the servers are asked until they answer, across restarts. A store that cannot
 * be written keeps no one from healing: what is not durable yet is kept in memory and tried again.
 */
export class OlderGenerations {
  readonly #namespace: Namespace;
  readonly #tag: Uint8Array;
  readonly #generations = new Map<number, OldGeneration>();
  /** Those that are, or should be, in the keyslot file. */
  readonly #made = new Map<number, OldGeneration>();
  /** Numbers of those that should be in the keyslot file and are not. */
  readonly #missed = new Set<number>();
  readonly #lineages = new Map<string, OldLineage>();
  #dropped = 0;
  /** When the present day began, by the monotonic clock. */
  #dayBeganAtMs: number | undefined;
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

  /** The generations of which servers may erase the slots. */
  get erasable(): readonly OldGeneration[] {
    return this.generations.filter(({ generation }) => !this.#missed.has(generation));
  }

  /**
   * The number after those of all generations that were made or left behind. One that could not be put into the keyslot
   * file counts too: under its number the list would know the slots of only one of two.
   */
  get nextNumber(): number {
    return Math.max(0, ...this.#generations.keys(), ...this.#made.keys()) + 1;
  }

  /** The newest generation that was made: the keyslot file may have it, whatever the host shows of that file. */
  get lastMade(): OldGeneration | undefined {
    return this.#made.get(Math.max(0, ...this.#made.keys()));
  }

  /** The lineages of former store keys that are not closed everywhere. */
  get lineages(): readonly OldLineage[] {
    // The present one is noted before the store key changes, and stays in force if the change fails.
    const present = lineageName(this.#tag);
    return [...this.#lineages].flatMap(([name, old]) => (name === present ? [] : [old]));
  }

  /** The generations that can still open an older copy of the disk. */
  get open(): readonly OldGeneration[] {
    return this.generations.filter(isOpen);
  }

  /** How many generations and lineages made room for newer ones while an older copy of the disk could open by them. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Notes a generation that is about to be put into the keyslot file: the host may put back a file without it, and this
   * store would know nothing of its slots. @returns whether that is durable now.
   */
  make(generation: Generation): Promise<boolean> {
    return this.#oneAfterAnother(async () => {
      this.#setMade(generation.generation, leftBehind(generation));
      // Of attempts that failed one after another. The first two may be in the keyslot file.
      if (this.#made.size > MAX_GENERATIONS) this.#setMade([...this.#made.keys()][2] ?? 0, undefined);
      return await this.#save();
    });
  }

  /** Counts generations that were made and are not in the keyslot file as left behind; their slots stay for now. */
  compare(file: KeyslotFile | undefined): void {
    for (const [number, old] of this.#made) {
      const isInFile = old.slots.some(({ slotId }) => file !== undefined && findSlot(file, slotId));
      if (isInFile) continue;
      this.#missed.add(number);
      this.#generations.set(number, old);
    }
  }

  /** All slots of the keyslot file live: generations that it lacks are not needed any more. */
  async settle(): Promise<boolean> {
    if (this.#missed.size === 0) return true;
    return this.#oneAfterAnother(async () => {
      for (const number of this.#missed) {
        const old = this.#generations.get(number);
        if (old !== undefined) this.#setGeneration(old);
        this.#setMade(number, undefined);
      }
      this.#missed.clear();
      return await this.#save();
    });
  }

  /** Notes generations that leave the keyslot file. @returns whether that is durable now. */
  leave(generations: readonly Generation[]): Promise<boolean> {
    return this.#oneAfterAnother(async () => {
      for (const generation of generations) {
        this.#setGeneration(leftBehind(generation));
        this.#setMade(generation.generation, undefined);
      }
      while (this.#generations.size > MAX_GENERATIONS) this.#dropGeneration();
      return await this.#save();
    });
  }

  /** Notes that slots are erased, or lost for good. */
  erased(slotIds: readonly SlotId[]): Promise<boolean> {
    return this.#oneAfterAnother(async () => {
      for (const old of this.generations) {
        const slots = old.slots.filter(({ slotId }) => !slotIds.some((id) => equalBytes(id, slotId)));
        if (slots.length < old.slots.length) this.#setGeneration({ ...old, slots });
      }
      return await this.#save();
    });
  }

  /** Notes a lineage that is to be closed, before the store key changes; resolves when it is durable. */
  leaveLineage(old: OldLineage): Promise<void> {
    return this.#oneAfterAnother(async () => {
      const name = lineageName(tagOf(old.secret));
      await this.#putLineage(name, old);
      this.#lineages.get(name)?.secret.wipe();
      this.#lineages.set(name, old);
      while (this.#lineages.size > MAX_LINEAGES) this.#dropLineage(name);
      await this.#save();
    });
  }

  /**
   * Notes the lineage of a change of the store key that was cut off before it came into force; durable with {@link save}.
   * Only of a change that this store began, which it noted: the host can write a generation of its own into the file.
   */
  leaveCutOff(old: OldLineage): void {
    const present = this.#lineages.get(lineageName(this.#tag));
    if (present === undefined) {
      old.secret.wipe();
      return;
    }
    this.#setLineage(lineageName(this.#tag), { ...present, generations: [] });
    this.#setLineage(lineageName(tagOf(old.secret)), old);
  }

  /** Makes durable what is not, where the store takes it; else at the next look at the slots. */
  save(): Promise<boolean> {
    return this.#oneAfterAnother(() => this.#save());
  }

  /** Notes that a lineage stays in force after all: the store key was not changed. */
  keepLineage(secret: SecretBytes): Promise<void> {
    return this.#oneAfterAnother(async () => {
      const name = lineageName(tagOf(secret));
      const old = this.#lineages.get(name);
      if (old === undefined) return;
      await this.#namespace.delete(name);
      old.secret.wipe();
      this.#lineages.delete(name);
    });
  }

  /** Notes that processes of servers have closed a lineage, or lost it for good. */
  closed(secret: SecretBytes, servers: readonly OldServer[]): Promise<boolean> {
    const isClosed = (one: OldServer) => servers.some((other) => isSameProcess(one, other));
    return this.#changeLineage(secret, (old) =>
      withServers(old, (entries) => entries.filter((one) => !isClosed(one))),
    );
  }

  /** Notes that an operator accepted the loss of what a later instance under a former lineage wrote. */
  accept(secret: SecretBytes, { number, bootId }: Incarnation): Promise<boolean> {
    const accepted = { number, boot: copyBytes(bootId.subarray(0, BOOT_BYTES)) };
    return this.#changeLineage(secret, (old) => ({ ...old, accepted }));
  }

  /**
   * Notes which servers have no record on the chain. They give no keys now, and may come back: their entries go when they
   * were missing on 90 days. Tries again to make durable what was not.
   * @param monotonicMs the host sets the other clock, and where the chain is not proved it can hide servers for a moment.
   *   However long two looks lie apart, they show one day.
   */
  noteChain(hasRecord: (server: AccountId) => boolean, monotonicMs: number): Promise<boolean> {
    const isNewDay = this.#isNewDay(monotonicMs);
    return this.#oneAfterAnother(async () => {
      for (const old of this.generations) {
        const slots = withMissing(old.slots, hasRecord, isNewDay);
        if (slots !== undefined) this.#setGeneration({ ...old, slots });
      }
      for (const [name, old] of [...this.#lineages]) {
        const isChanged = unclosedAt(old).some(
          (one) => withMissing([one], hasRecord, isNewDay) !== undefined,
        );
        if (!isChanged) continue;
        this.#setLineage(
          name,
          withServers(old, (servers) => withMissing(servers, hasRecord, isNewDay) ?? servers),
        );
      }
      return await this.#save();
    });
  }

  #isNewDay(monotonicMs: number): boolean {
    this.#dayBeganAtMs ??= monotonicMs;
    if (monotonicMs - this.#dayBeganAtMs < DAY_MS) return false;
    this.#dayBeganAtMs = monotonicMs;
    return true;
  }

  /** Wipes the secrets of former lineages. */
  wipe(): void {
    for (const { secret } of this.#lineages.values()) secret.wipe();
  }

  #changeLineage(secret: SecretBytes, change: (old: OldLineage) => OldLineage): Promise<boolean> {
    // The secret may be wiped when the turn of this change comes.
    const name = lineageName(tagOf(secret));
    return this.#oneAfterAnother(async () => {
      const old = this.#lineages.get(name);
      if (old === undefined) return true;
      this.#setLineage(name, change(old));
      return await this.#save();
    });
  }

  #setGeneration(old: OldGeneration): void {
    if (old.slots.length === 0) this.#generations.delete(old.generation);
    else this.#generations.set(old.generation, old);
    this.#unsaved.add(generationName(old.generation));
  }

  #setMade(number: number, made: OldGeneration | undefined): void {
    if (made !== undefined) this.#made.set(number, made);
    else if (!this.#made.delete(number)) return;
    this.#unsaved.add(madeName(number));
  }

  #setLineage(name: string, old: OldLineage): void {
    if (old.generations.length === 0) {
      old.secret.wipe();
      this.#lineages.delete(name);
    } else {
      this.#lineages.set(name, old);
    }
    this.#unsaved.add(name);
  }

  /** Closed generations go first, then the oldest. */
  #dropGeneration(): void {
    const oldestFirst = [...this.generations].sort((a, b) => a.generation - b.generation);
    const old = oldestFirst.find((one) => !isOpen(one)) ?? oldestFirst[0];
    if (old === undefined) return;
    if (isOpen(old)) this.#countDropped();
    this.#setGeneration({ ...old, slots: [] });
  }

  /** The oldest lineage goes, but not the one that was noted last. */
  #dropLineage(last: string): void {
    const others = [...this.#lineages].filter(([name]) => name !== last);
    const [oldest] = others.sort(([, a], [, b]) => a.last.number - b.last.number);
    if (oldest === undefined) return;
    this.#countDropped();
    this.#setLineage(oldest[0], { ...oldest[1], generations: [] });
  }

  #countDropped(): void {
    this.#dropped++;
    this.#unsaved.add(DROPPED);
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
    if (name === DROPPED) return await this.#namespace.put(name, u64BigEndian(this.#dropped));
    const lineage = this.#lineages.get(name);
    const old = name.startsWith(MADE)
      ? this.#made.get(Number(name.slice(MADE.length)))
      : this.#generations.get(Number(name.slice(GENERATION.length)));
    if (lineage !== undefined) await this.#putLineage(name, lineage);
    else if (old !== undefined)
      await this.#namespace.put(name, concatBytes(this.#tag, encodeGeneration(old)));
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
    if (name !== DROPPED && ![GENERATION, MADE, LINEAGE].some((kind) => name.startsWith(kind))) return;
    const bytes = await this.#namespace.get(name);
    if (bytes === undefined) return;
    if (name === DROPPED) {
      this.#dropped = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0));
    } else if (name.startsWith(LINEAGE)) {
      this.#lineages.set(name, decodeLineage(bytes));
      bytes.fill(0);
    } else if (equalBytes(bytes.subarray(0, TAG_BYTES), this.#tag)) {
      const number = Number(name.slice(name.indexOf('/') + 1));
      const old = decodeGeneration(number, bytes.subarray(TAG_BYTES));
      (name.startsWith(MADE) ? this.#made : this.#generations).set(number, old);
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

const leftBehind = ({ generation, t, slots }: Generation): OldGeneration => ({
  generation,
  t,
  slots: slots.map(({ server, slotId, instanceId }) => ({ server, slotId, instanceId })),
});
