import { setMaxListeners } from 'node:events';
import { ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import type { Head } from '../../lineage/head.ts';
import { Healer } from '../heal/healer.ts';
import { type LockedCause, lockedCauseOf } from '../node/locked-cause.ts';
import { NodeFolder } from '../node/node-folder.ts';
import { type NodeState, summarize } from '../node/node-state.ts';
import type { OpenNode } from '../node/open-node.ts';
import { type RefusedStore, refusedStoreOf } from '../node/rollback-acceptance.ts';
import { attemptOpening } from './attempt-opening.ts';
import { isOlderDisk, isRefusal, messageOf, mustClose } from './boot-errors.ts';
import type { BootStage, GuardianParts } from './boot-stage.ts';
import { CustodyDesk } from './custody-desk.ts';
import { openRules } from './remembered-rules.ts';
import { type NodeBackup, type RestoredNode, restoreNode } from './restore-node.ts';
import { RotationFailed, rotateNode } from './rotate-store-key.ts';

/** A lease is renewed so often while it lasts: one slow look must not end it. */
const LEASE_PARTS = 4;

/**
 * Brings a node's store from power-on to backed and keeps it there. It never gives up, and never discards, renames or
 * replaces a store.
 */
export class Guardian {
  readonly #parts: GuardianParts;
  readonly #stage: BootStage;
  readonly #stop = new AbortController();
  /** Opens a locked store with the parts of custodians. */
  readonly custody: CustodyDesk;
  #wake = new AbortController();
  #state: NodeState = { name: 'starting', reason: 'not begun' };
  #node: OpenNode | undefined;
  #healer: Healer | undefined;
  #opening: Promise<unknown> | undefined;
  #healing: Promise<void> | undefined;
  #nudged = false;
  #refusedBy: Head | undefined;
  #hasBegunAgain = false;
  /** The last slot check or change of the store key: one at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: GuardianParts) {
    // Every request under way listens to it.
    setMaxListeners(0, this.#stop.signal);
    this.#parts = parts;
    const folder = new NodeFolder(parts.fileSystem, parts.dataFolder);
    this.custody = new CustodyDesk({
      parts,
      folder,
      stopped: this.#stop.signal,
      state: () => this.#state,
      onKey: () => this.look(),
    });
    this.#stage = {
      parts,
      folder,
      custody: this.custody,
      stopped: this.#stop.signal,
      refusedBy: () => this.#refusedBy,
      noteRefusal: (head) => {
        this.#refusedBy = head ?? this.#refusedBy;
      },
      report: (state) => this.#set(state),
      tick: (healer) => this.#tick(healer),
      pause: (milliseconds) => this.#sleep(milliseconds),
    };
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
  open(attempts = Number.POSITIVE_INFINITY): Promise<OpenNode | undefined> {
    const opening = this.#open(attempts);
    this.#opening = opening;
    return opening;
  }

  /**
   * Gives the node the store of a backup, on a human's command and where there is none; instead of {@link open}.
   * @returns and throws what {@link restoreNode} does.
   */
  restore(backup: NodeBackup): Promise<RestoredNode | undefined> {
    const restoring = restoreNode(this.#stage, backup);
    this.#opening = restoring;
    return restoring;
  }

  async #open(attempts: number): Promise<OpenNode | undefined> {
    let waitMs = this.#parts.options.retryMinMs;
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      try {
        const opened = await attemptOpening(this.#stage);
        if (opened !== undefined && (await this.#mustBeginAgain(opened, attempts))) continue;
        if (opened !== undefined) this.#node = await this.#takeHold(opened, attempts);
      } catch (error) {
        if (isRefusal(error)) this.custody.dropUsed();
        if (!this.#stop.signal.aborted) await this.#locked(error);
      }
      if (this.#stop.signal.aborted) break;
      if (this.#node !== undefined || attempt >= attempts) return this.#node;
      await this.#sleep(waitMs);
      waitMs = Math.min(waitMs * 2, this.#parts.options.retryMaxMs);
    }
    // It was stopped while an attempt was under way, and that attempt may still have opened the store.
    await this.#node?.close();
    return undefined;
  }

  /**
   * Whether an open store was closed again, because it remembers newer rules than those by which the servers that opened
   * it were judged: they may have shown an old head, or have no right to any word. Once in a process: the host could
   * change the disk each time. It stays open, under the newer rules, where these could not open it again.
   */
  async #mustBeginAgain(node: OpenNode, attempts: number): Promise<boolean> {
    const { memory, tools } = this.#parts;
    const isBehind = await openRules(this.#stage, node, attempts);
    if (!isBehind || this.#hasBegunAgain || node.byCustodians) return false;
    tools.vetter.forget();
    if (!(await new Healer(this.#parts, node).mayClose(this.#stop.signal))) return false;
    this.#hasBegunAgain = true;
    this.#parts.log('warn', 'node.begins-again', {
      message: 'the store remembers a newer fleet manifest; it is opened again by that one',
    });
    await node.close();
    memory?.close();
    return true;
  }

  /**
   * Waits until an open node holds its account. It stays open: its slots may be lost by now, and then the
   * store key is nowhere else.
   * @returns `undefined` when it was stopped, or `attempts` were used up; then the store is closed again.
   * @throws what shows that this instance must not go on, such as STORE_ROLLED_BACK, once enough slots are proved to live
   *   to open the store again; it is closed then.
   */
  async #takeHold(node: OpenNode, attempts: number): Promise<OpenNode | undefined> {
    // A node that was just made holds its account from its birth.
    if (node.store.isReleased) return node;
    const healer = new Healer(this.#parts, node);
    this.#healer = healer;
    const { retryMinMs, retryMaxMs } = this.#parts.options;
    let isKept = false;
    try {
      let waitMs = retryMinMs;
      for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
        this.#nudged = false;
        const attempted = await this.#holdOnce(healer);
        // After a total blackout every node waits for the others to serve, so it serves before it holds.
        isKept = node.store.isReleased || (node.byCustodians !== undefined && attempted === 'made');
        if (isKept) {
          this.custody.wipe();
          return node;
        }
        if (attempted === 'over') this.custody.dropUsed();
        if (attempted === 'over' || attempt >= attempts) return undefined;
        const leaseMs = healer.leaseWaitMs;
        await this.#restUntilNudged((leaseMs > 0 ? Math.min(leaseMs, retryMaxMs) : waitMs) - retryMinMs);
        waitMs = Math.min(waitMs * 2, retryMaxMs);
      }
      return undefined;
    } finally {
      if (!isKept) {
        this.#healer = undefined;
        this.#refusedBy = node.rollback?.refusedBy ?? this.#refusedBy;
        await node.close();
      }
    }
  }

  /**
   * One attempt to take hold.
   * @returns `over` when this instance has to end, because a newer one has shown itself, and the store can be opened again;
   *   `failed` when the attempt did not come to its end.
   * @throws what shows that this instance must not go on, once its store can be opened again.
   */
  async #holdOnce(healer: Healer): Promise<'made' | 'failed' | 'over'> {
    const { signal } = this.#stop;
    try {
      const state = await healer.tick(signal);
      this.#set(state);
      if (state.name !== 'fenced') return 'made';
      return (await healer.mayClose(signal)) ? 'over' : 'failed';
    } catch (error) {
      if (mustClose(error) && (await healer.mayClose(signal))) throw error;
      if (signal.aborted) return 'over';
      this.#parts.log('error', 'healing.failed', { error: messageOf(error) });
      const cause = this.#causeOf(error);
      const slots = 'slots' in this.#state ? this.#state.slots : [];
      const quorum = 'quorum' in this.#state ? this.#state.quorum : undefined;
      this.#set({ name: 'unclaimed', reason: messageOf(error), cause, quorum, slots });
      return 'failed';
    }
  }

  /** Heals until it is stopped; to be run once, after {@link open}. */
  heal(): Promise<void> {
    this.#healing = this.#heal();
    return this.#healing;
  }

  async #heal(): Promise<void> {
    const node = this.#node;
    if (node === undefined) throw new TypeError('heal() needs an open node');
    const first = this.#healer ?? new Healer(this.#parts, node);
    this.#healer = first;
    const { intervalMs, leaseMs = Number.POSITIVE_INFINITY } = this.#parts;
    // A rotation of the store key replaces it.
    const healerNow = (): Healer => this.#healer ?? first;
    while (!this.#stop.signal.aborted) {
      this.#nudged = false;
      const turn = () => this.#inTurn(() => this.#tick(healerNow()));
      await (this.#parts.mainLoop?.turn(turn) ?? turn());
      await this.#restUntilNudged(Math.min(intervalMs, leaseMs / LEASE_PARTS));
    }
  }

  /** Sleeps. A nudge that came during the tick before is not lost; a flood of them does not make the node spin. */
  async #restUntilNudged(milliseconds: number): Promise<void> {
    const pauseMs = Math.min(1_000, this.#parts.options.retryMinMs);
    await this.#parts.clock.sleep(pauseMs, this.#stop.signal);
    if (!this.#nudged) await this.#sleep(milliseconds);
  }

  /**
   * Gives the open node a new store key; the former key opens the store no more. Heals on afterwards.
   * @returns the number of the generation of slots under the new key.
   * @throws ProblemError NODE_LOCKED, NODE_FENCED, ROTATION_NOT_BACKED, ROTATION_INCOMPLETE, and what store and chain throw.
   */
  rotateStoreKey(): Promise<number> {
    return this.#inTurn(() => this.#rotate());
  }

  async #rotate(): Promise<number> {
    const node = this.#node;
    const healer = this.#healer;
    if (node === undefined || healer === undefined || this.#state.name !== 'backed') {
      throw new ProblemError('ROTATION_NOT_BACKED', `the node is ${summarize(this.#state)}`, {
        hint: 'wait until `latchkey status` says backed; nothing was changed',
      });
    }
    try {
      const rotated = await rotateNode(this.#stage, node);
      node.storeKey.wipe();
      node.book.wipe();
      node.older.wipe();
      node.hold.lineage.wipe();
      this.#node = rotated;
      this.#healer = new Healer(this.#parts, rotated);
    } catch (error) {
      // A look at the slots shows what the rotation met, such as a newer instance.
      this.look();
      if (!(error instanceof RotationFailed)) throw error;
      if (error.isUndecided) this.#set(healer.haltAfterKeyChange());
      throw error.cause;
    }
    const generation = this.#node?.book.newest?.generation ?? 0;
    this.#parts.log('warn', 'store.key-rotated', { generation });
    this.look();
    return generation;
  }

  /**
   * The store that is refused as an older one: what {@link acceptOlderStore} would go on from, and what would be lost.
   * @throws RefusalError ROLLBACK_NOT_REFUSED.
   */
  get refusedStore(): RefusedStore {
    const state = this.#state;
    const isRefused =
      (state.name === 'locked' || state.name === 'unclaimed') && state.cause === 'rolled-back';
    const refused = isRefused ? this.#parts.acceptance.refused : undefined;
    if (refused !== undefined) return refusedStoreOf(refused);
    throw new RefusalError('ROLLBACK_NOT_REFUSED', `the node is ${summarize(state)}`, {
      expected: 'a store that is refused with STORE_ROLLED_BACK',
      observed: state.name,
    });
  }

  /**
   * Goes on from the store that was refused as an older one, on a human's command: also where it is open and must stay so,
   * because its key may be nowhere else.
   * @throws RefusalError ROLLBACK_NOT_REFUSED.
   */
  acceptOlderStore(): RefusedStore {
    const accepted = this.refusedStore;
    this.#parts.acceptance.acceptRefused();
    this.#parts.log('warn', 'store.rollback-accepted', {
      expectedIncarnation: accepted.incarnation,
      expectedSequence: accepted.sequence,
    });
    this.look();
    return accepted;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Starts a slot check and an attempt now, because a server restarted or the chain changed. */
  nudge(): void {
    this.#healer?.hurry();
    this.look();
  }

  /** Starts a slot check after an unauthenticated hint; only the result of the check causes further actions. */
  look(): void {
    this.#nudged = true;
    this.#wake.abort();
  }

  /** Stops all work, closes the store and wipes the keys. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    // No keyslot file is saved after the store's lock is given back, and no wiped key is used.
    await this.#opening?.catch(() => undefined);
    await this.#healing;
    await this.#turn;
    await this.#node?.close();
    this.custody.wipe();
    this.#set({ name: 'stopped' });
  }

  async #tick(healer: Healer): Promise<NodeState> {
    try {
      this.#set(await healer.tick(this.#stop.signal));
    } catch (error) {
      if (this.#stop.signal.aborted) return this.#state;
      this.#parts.log('error', 'healing.failed', { error: messageOf(error) });
      if (isOlderDisk(error)) this.#set(healer.refuseDisk(messageOf(error)));
      // A store that could not be checked does not count as backed.
      if (this.#state.name === 'backed') this.#set({ ...this.#state, name: 'degraded' });
    }
    return this.#state;
  }

  async #locked(error: unknown): Promise<void> {
    const reason = messageOf(error);
    const cause = this.#causeOf(error);
    this.#parts.log('error', 'store.locked', { cause, reason });
    const file = await this.#stage.folder.keyslotFile();
    const newest = file?.generations[0];
    this.#set({
      name: 'locked',
      cause,
      account: file?.account,
      have: 0,
      need: newest?.t ?? 1,
      n: newest?.n ?? 0,
      slots: [],
      reason,
    });
  }

  #causeOf(error: unknown): LockedCause {
    return this.#parts.causeOf?.(error) ?? lockedCauseOf(error);
  }

  #set(state: NodeState): void {
    if (this.#stop.signal.aborted && state.name !== 'stopped') return;
    const before = this.#state;
    this.#state = state;
    if (summarize(before) !== summarize(state)) {
      const level = ['unbacked', 'locked', 'unclaimed', 'fenced', 'degraded'].includes(state.name)
        ? 'warn'
        : 'info';
      this.#parts.log(level, 'node.state', { state: state.name, summary: summarize(state) });
    }
    try {
      this.#parts.onState(state);
    } catch (error) {
      // A listener that fails must not stop the healing.
      this.#parts.log('error', 'node.state-not-shown', { error: messageOf(error) });
    }
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
