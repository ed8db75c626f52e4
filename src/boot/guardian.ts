import { equalBytes } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { KeyslotDisk } from '../keyslots/keyslot-disk.ts';
import { SealedStore } from '../store/sealed-store.ts';
import type { FlooredClock } from '../time/clock.ts';
import { FencedStore } from './fenced-store.ts';
import { Healer, type HealerParts } from './healer.ts';
import { createIdentity, type NodeIdentity, readIdentity } from './identity.ts';
import { NodeFolder } from './node-folder.ts';
import { type NodeState, summarize } from './node-state.ts';
import type { OpenNode } from './open-node.ts';
import { OwnClaim } from './own-claim.ts';
import { bootRandom, OwnMarks } from './own-marks.ts';
import { provenPart } from './proven-part.ts';
import { type RecoveredKey, recoverStoreKey } from './recovery.ts';
import { SlotBook } from './slot-book.ts';

/** What a guardian works with. */
export interface GuardianParts extends HealerParts {
  readonly fileSystem: FileSystem;
  /** Absolute path. */
  readonly dataFolder: string;
  readonly clock: FlooredClock;
  readonly clockToleranceMs: number;
  /** Between two ticks of healing; moved by jitter. */
  readonly intervalMs: number;
  /** When given, this node never becomes a new one. */
  readonly expectedAccount?: AccountId | undefined;
  /** A human said so, on this start: open the store although it is older than what the servers remember. */
  readonly acceptRolledBackStore?: boolean;
  /** Whether a new node may come into being before a server holds a slot of it; not when its key leaves at once. */
  readonly mayStayUnbacked?: boolean;
  readonly onState: (state: NodeState) => void;
}

/** How long a fresh node looks for its first servers before it goes on unbacked. */
const FRESH_TICKS = 5;

/**
 * Brings a node's store from power-on to backed and keeps it there. It never gives up, and never discards, renames or
 * replaces a store.
 */
export class Guardian {
  readonly #parts: GuardianParts;
  readonly #folder: NodeFolder;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #state: NodeState = { name: 'starting', reason: 'not begun' };
  #node: OpenNode | undefined;
  #healer: Healer | undefined;
  #healing: Promise<void> | undefined;
  #nudged = false;
  #hurriedAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: GuardianParts) {
    this.#parts = parts;
    this.#folder = new NodeFolder(parts.fileSystem, parts.dataFolder);
  }

  get state(): NodeState {
    return this.#state;
  }

  /** The open node, or `undefined` while the store is closed. */
  get node(): OpenNode | undefined {
    return this.#node;
  }

  /**
   * Opens the store, trying for as long as it takes, or makes a new one.
   * @returns `undefined` when it was stopped before, or when `attempts` were used up.
   */
  async open(attempts = Number.POSITIVE_INFINITY): Promise<OpenNode | undefined> {
    let waitMs = this.#parts.options.retryMinMs;
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      try {
        this.#node = await this.#attempt();
      } catch (error) {
        this.#locked(error);
      }
      if (this.#stop.signal.aborted) break;
      if (this.#node !== undefined || attempt >= attempts) return this.#node;
      await this.#sleep(waitMs);
      waitMs = Math.min(waitMs * 2, this.#parts.options.retryMaxMs);
    }
    // It was stopped while an attempt was under way, which may have opened the store all the same.
    await this.#node?.close();
    return undefined;
  }

  /** Heals until it is stopped; to be run once, after {@link open}. */
  heal(): Promise<void> {
    this.#healing = this.#heal();
    return this.#healing;
  }

  async #heal(): Promise<void> {
    const node = this.#node;
    if (node === undefined) throw new TypeError('heal() needs an open node');
    this.#healer ??= new Healer(this.#parts, node);
    while (!this.#stop.signal.aborted) {
      this.#nudged = false;
      await this.#tick(this.#healer);
      // A nudge that came during the tick is not lost; a flood of them does not make the node spin.
      const pauseMs = Math.min(1_000, this.#parts.options.retryMinMs);
      await this.#parts.clock.sleep(pauseMs, this.#stop.signal);
      if (!this.#nudged) await this.#sleep(this.#parts.intervalMs);
    }
  }

  /** Something happened that is worth a look now: a server restarted, the chain changed. */
  nudge(): void {
    const nowMs = this.#parts.clock.nowMs();
    if (Math.abs(nowMs - this.#hurriedAtMs) >= this.#parts.options.retryMinMs) {
      this.#hurriedAtMs = nowMs;
      this.#healer?.hurry();
    }
    this.#nudged = true;
    this.#wake.abort();
  }

  /** Stops all work, closes the store and wipes the keys. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    // No keyslot file is saved after the store's lock is given back, and no wiped key is used.
    await this.#healing;
    await this.#node?.close();
    this.#set({ name: 'stopped' });
  }

  async #tick(healer: Healer): Promise<void> {
    try {
      this.#set(await healer.tick(this.#stop.signal));
    } catch (error) {
      this.#parts.log('error', 'healing.failed', { error: messageOf(error) });
      // What could not be looked at is not backed.
      if (this.#state.name === 'backed') this.#set({ ...this.#state, name: 'degraded' });
    }
  }

  #attempt(): Promise<OpenNode | undefined> {
    return this.#folder.look().then((found) => {
      switch (found) {
        case 'fresh':
          return this.#begin();
        case 'enrolled':
          return this.#recover();
        case 'without-keyslots':
          throw new ProblemError('NODE_NEVER_BACKED', 'there is a store, but no keyslot file beside it', {
            hint: 'put the keyslot file back; or, if the node was never backed, `latchkey abandon` sets the store aside',
          });
      }
    });
  }

  /** First boot: everything is made in `node.new` and put into place when it is whole. */
  async #begin(): Promise<OpenNode | undefined> {
    const { fileSystem, expectedAccount, dataFolder } = this.#parts;
    if (expectedAccount !== undefined) {
      throw new ProblemError(
        'NODE_MISSING',
        `the store of ${encodeSs58(expectedAccount)} is not on this disk`,
        {
          hint: 'mount the right disk, or remove node.expectedAccount to let this machine become a new node',
        },
      );
    }
    await this.#folder.makeDataFolder();
    const lock = await fileSystem.lock?.(dataFolder);
    if (lock !== undefined && 'owner' in lock) {
      throw new ProblemError('STORE_LOCKED', `another process makes a node in ${dataFolder}`, {
        observed: lock.owner,
      });
    }
    try {
      // Another process may have finished while this one waited.
      if ((await this.#folder.look()) !== 'fresh') return undefined;
      return await this.#make();
    } finally {
      await lock?.release();
    }
  }

  async #make(): Promise<OpenNode | undefined> {
    const { fileSystem, tools } = this.#parts;
    await this.#folder.begin();
    const storeKey = new SecretBytes(tools.random(32));
    const path = NodeFolder.storePath(this.#folder.newPath);
    const making = await SealedStore.create({ fileSystem, path, storeKey, random: tools.random });
    try {
      return await this.#enrolAndFinish(making, storeKey);
    } catch (error) {
      // `node.new` was never in force; the next attempt makes another.
      await making.close().catch(() => undefined);
      storeKey.wipe();
      throw error;
    }
  }

  async #enrolAndFinish(making: SealedStore, storeKey: SecretBytes): Promise<OpenNode | undefined> {
    const { tools, mayStayUnbacked = true } = this.#parts;
    const identity = await createIdentity(making, tools.random);
    const book = this.#book(this.#folder.newPath, storeKey, undefined);
    const marks = new OwnMarks(storeKey);
    const claim = new OwnClaim(marks, 1, bootRandom(tools.random));
    const { storeId } = making;
    const inMaking = {
      identity,
      store: new FencedStore(making),
      storeId,
      storeKey,
      book,
      marks,
      claim,
    };
    const healer = new Healer(this.#parts, { ...inMaking, close: () => making.close() });
    this.#set({ name: 'fresh', slots: [] });
    for (let tick = 0; tick < FRESH_TICKS && !this.#stop.signal.aborted; tick++) {
      await this.#tick(healer);
      if (this.#state.name === 'backed' || !(await this.#mayEnrol(identity))) break;
      await this.#sleep(this.#parts.options.retryMinMs);
    }
    if (!book.isComplete && (this.#stop.signal.aborted || !mayStayUnbacked)) {
      await making.close();
      book.wipe();
      storeKey.wipe();
      if (this.#stop.signal.aborted) return undefined;
      throw new ProblemError('NODE_NEVER_BACKED', 'too few key servers took a slot of a new node', {
        hint: 'a store whose key nobody else holds would be lost when this command ends; `latchkey serve` makes one',
      });
    }
    await making.close();
    await this.#folder.finish();
    this.#parts.log('info', 'node.created', {
      account: encodeSs58(identity.account),
      state: this.#state.name,
    });
    const opened = await this.#openStore(storeKey);
    const moved = this.#book(this.#folder.path, storeKey, book.file, book);
    return this.#assemble(opened, storeKey, identity, moved, claim);
  }

  /** Whether there is any server to enrol with; without one a fresh node goes on unbacked at once. */
  async #mayEnrol({ account }: NodeIdentity): Promise<boolean> {
    const { servers } = await this.#parts.chain.snapshot();
    return servers.some((server) => server.active && !equalBytes(server.account, account));
  }

  async #recover(): Promise<OpenNode | undefined> {
    const { chain, tools, log, options, clock, clockToleranceMs, fileSystem } = this.#parts;
    const file = await new KeyslotDisk(fileSystem, NodeFolder.keyslotsPath(this.#folder.path)).read();
    // Before the store is opened, which notes in it that it was: a foreign store is not touched at all.
    this.#requireAccount(file.account, file.account);
    const snapshot = await chain.snapshot();
    const outcome = await recoverStoreKey(
      { ...tools, log },
      {
        file,
        snapshot,
        minimumThreshold: options.minimumThreshold,
        clockToleranceMs,
        signal: this.#stop.signal,
      },
    );
    if (!outcome.ok) {
      const { have, need, slots } = outcome;
      this.#set({ name: 'locked', have, need, slots, reason: 'too few key servers gave their slot' });
      return undefined;
    }
    const { recovered } = outcome;
    if (recovered.timeMs !== undefined) clock.raise(recovered.timeMs - clockToleranceMs);
    const store = await this.#openStore(recovered.storeKey, recovered);
    try {
      const identity = await readIdentity(store);
      this.#requireAccount(identity.account, file.account);
      const book = this.#book(this.#folder.path, recovered.storeKey, provenPart(file, recovered.storeKey));
      for (const { slot } of book.slots()) {
        const key = recovered.serverKeys.get(toHex(slot.slotId));
        if (key !== undefined) book.learn(slot.slotId, key);
      }
      const marks = new OwnMarks(recovered.storeKey);
      const claim = new OwnClaim(marks, recovered.incarnation + 1, bootRandom(tools.random));
      this.#set({ name: 'open', slots: recovered.slots });
      return this.#assemble(store, recovered.storeKey, identity, book, claim);
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  #openStore(storeKey: SecretBytes, recovered?: RecoveredKey): Promise<SealedStore> {
    const { fileSystem, tools, acceptRolledBackStore = false, log } = this.#parts;
    const head = recovered?.head;
    if (acceptRolledBackStore && head !== undefined) {
      const { generation, sequence } = head;
      log('warn', 'store.rollback-accepted', { expectedGeneration: generation, expectedSequence: sequence });
    }
    return SealedStore.open({
      fileSystem,
      path: NodeFolder.storePath(this.#folder.path),
      storeKey,
      random: tools.random,
      ...(head === undefined
        ? {}
        : {
            expectedHead: { ...head, digest: OwnMarks.digestPart(head) },
            acceptOlderHead: acceptRolledBackStore,
          }),
    });
  }

  #requireAccount(account: AccountId, inFile: AccountId): void {
    const expected = this.#parts.expectedAccount ?? inFile;
    if (equalBytes(account, expected) && equalBytes(account, inFile)) return;
    throw new ProblemError('NODE_ACCOUNT_MISMATCH', 'the store is that of another account', {
      expected: encodeSs58(expected),
      observed: encodeSs58(account),
      hint: 'the store is untouched; check which disk is mounted',
    });
  }

  #book(nodePath: string, storeKey: SecretBytes, file: SlotBook['file'], known?: SlotBook): SlotBook {
    const disk = new KeyslotDisk(this.#parts.fileSystem, NodeFolder.keyslotsPath(nodePath));
    const book = new SlotBook({ save: (changed) => disk.replace(changed), storeKey, file });
    for (const { slot } of known?.slots() ?? []) {
      const key = known?.keyOf(slot.slotId);
      if (key !== undefined) book.learn(slot.slotId, key);
    }
    return book;
  }

  #assemble(
    store: SealedStore,
    storeKey: SecretBytes,
    identity: NodeIdentity,
    book: SlotBook,
    claim: OwnClaim,
  ): OpenNode {
    const close = async (): Promise<void> => {
      try {
        await store.close();
      } finally {
        book.wipe();
        storeKey.wipe();
        identity.accountSeed.wipe();
      }
    };
    const fenced = new FencedStore(store);
    const { storeId } = store;
    return {
      identity,
      store: fenced,
      storeId,
      storeKey,
      book,
      marks: new OwnMarks(storeKey),
      claim,
      close,
    };
  }

  #locked(error: unknown): void {
    const reason = messageOf(error);
    this.#parts.log('error', 'store.locked', { reason });
    const { have, need, slots } =
      this.#state.name === 'locked' ? this.#state : { have: 0, need: 1, slots: [] };
    this.#set({ name: 'locked', have, need, slots, reason });
  }

  #set(state: NodeState): void {
    if (this.#stop.signal.aborted && state.name !== 'stopped') return;
    const before = this.#state;
    this.#state = state;
    if (summarize(before) !== summarize(state)) {
      const level = ['unbacked', 'locked', 'fenced', 'degraded'].includes(state.name) ? 'warn' : 'info';
      this.#parts.log(level, 'node.state', { state: state.name, summary: summarize(state) });
    }
    this.#parts.onState(state);
  }

  /** Sleeps, give or take a quarter so that a fleet does not march in step, or until it is nudged. */
  async #sleep(milliseconds: number): Promise<void> {
    const { clock, tools } = this.#parts;
    this.#wake = new AbortController();
    if (this.#stop.signal.aborted) return;
    const jitter = 0.75 + (tools.random(1)[0] ?? 0) / 510;
    await clock.sleep(milliseconds * jitter, this.#wake.signal);
  }
}

function messageOf(error: unknown): string {
  if (error instanceof LatchkeyError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
