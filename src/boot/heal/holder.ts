import { equalBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import type { Generation, Slot } from '../../keyslots/keyslot-file.ts';
import { countedSlots } from '../../keyslots/open-generation.ts';
import type { Log } from '../../observe/log.ts';
import { MAX_LINEAGE_SLOTS } from '../../protocol/lineage-state.ts';
import { monotonicMsOf } from '../../time/clock.ts';
import { LAST_NUMBER } from '../node/account-hold.ts';
import { bootRecords } from '../node/boot-record.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { EnrolmentTools } from '../obtain/enrolment.ts';
import { type KeyHolder, KeyHolders } from '../obtain/key-holders.ts';
import type { PresentProcess } from '../obtain/present-process.ts';
import { AttemptPace } from './attempt-pace.ts';
import type { GenerationMaker } from './generation-maker.ts';
import { HoldFailures } from './hold-failures.ts';
import { askLineage } from './slot-check.ts';
import { type HoldQuorum, type HoldTarget, sweepLineage, takeHold } from './take-hold.ts';

/** Whether a store that failed in this way takes nothing more until it is opened again. */
const isPoisoned = (error: unknown): boolean =>
  error instanceof LatchkeyError && error.code === 'STORE_WRITE_FAILED';

/** The parts that taking hold uses. */
export interface HolderParts {
  readonly tools: EnrolmentTools;
  readonly presentProcess: PresentProcess;
  readonly log: Log;
  readonly options: {
    readonly minimumThreshold: number;
    readonly patienceMs: number;
    readonly retryMinMs: number;
    readonly retryMaxMs: number;
  };
  readonly maker: GenerationMaker;
  readonly pace: AttemptPace;
}

/** Takes hold of the account for a boot that opened its store, and writes the first record of that boot. */
export class Holder {
  readonly #parts: HolderParts;
  readonly #node: OpenNode;
  /** Whether all servers were asked for the newest head that an operator has accepted to lose. */
  #hasAskedAll = false;
  /** When this boot held first, by the monotonic clock. */
  #heldAtMs: number | undefined;
  /** When the next look for lost slots may be made. */
  readonly #looks: AttemptPace;
  /** Why servers did not help in the last attempt. */
  readonly failures = new HoldFailures();
  /** When this boot began to take hold, by the monotonic clock: the host sets the other one. */
  readonly #begunAtMs: number;

  constructor(parts: HolderParts, node: OpenNode) {
    this.#looks = new AttemptPace(parts.tools, parts.options);
    this.#parts = parts;
    this.#node = node;
    this.#begunAtMs = this.#monotonicMs;
  }

  /** Takes hold by the slots of the keyslot file with known keys, for a boot that does not hold; whether it holds now. */
  async bySlots(snapshot: ChainSnapshot, signal: AbortSignal): Promise<boolean> {
    const { hold, rollback, book, byCustodians } = this.#node;
    const { client } = this.#parts.tools;
    if ((rollback?.acceptsOlder || byCustodians !== undefined) && !this.#hasAskedAll) {
      // With a key from custodians no server has shown the newest head yet. With an accepted older store, the one server
      // that has the newest head would else refuse the store again and again.
      await sweepLineage(this.#parts.tools, this.#node, snapshot, signal);
      this.#hasAskedAll = true;
    }
    const thresholds = new Map(this.#generations.map(({ generation, t }) => [generation, t]));
    const targets = this.#targets(snapshot);
    this.failures.begin(book.slots().length);
    const onFailure: HoldQuorum['onFailure'] = ({ held }, failure) =>
      this.failures.note(held.slotId, failure);
    return await takeHold(client, hold, { targets, thresholds, onFailure }, signal);
  }

  /**
   * Takes hold by new slots when fewer than t of every generation of the keyslot file are left: those that opened the
   * store may be lost before this boot holds. Only what is proved counts: a server that is silent may serve another
   * instance.
   * @returns whether the boot holds now.
   */
  async byNewSlots(snapshot: ChainSnapshot, signal: AbortSignal): Promise<boolean> {
    const { hold, identity } = this.#node;
    const { tools, maker, pace, log } = this.#parts;
    const quorum = maker.quorumOf(snapshot);
    if (quorum === undefined || !pace.isDue || !this.#looks.isDue) return false;
    const lost = await this.#lostSlots(snapshot, signal);
    const mayAnswer = this.#generations.some(
      ({ slots, t }) => slots.filter(({ slotId }) => !lost.has(toHex(slotId))).length >= t,
    );
    if (mayAnswer) {
      this.#looks.backOff();
      return false;
    }
    log('warn', 'node.slots-lost', { lost: lost.size });
    await sweepLineage(tools, this.#node, snapshot, signal);
    hold.requireCurrent();
    const { servers } = snapshot;
    const enrolment = await maker.enrol(snapshot, quorum, { enrolled: [], last: [], draining: [] }, signal);
    const targets = enrolment.servers.flatMap(({ server, slotId, key }) => {
      const peer = servers.find(({ account }) => equalBytes(account, server));
      return peer === undefined
        ? []
        : [{ peer, held: { account: identity.account, slotId, key, observer: hold }, generation: 0 }];
    });
    const thresholds = new Map([[0, quorum.t]]);
    if (!(await takeHold(tools.client, hold, { targets, thresholds }, signal))) {
      maker.backOff(enrolment.servers.length, quorum);
      maker.forget(enrolment, snapshot);
      return false;
    }
    // First the keyslot file: no other slots open the store any more.
    await maker.putInFront(enrolment, quorum, { checked: [] });
    return true;
  }

  /**
   * Writes the first record of this boot: what it writes from here on belongs to it. Where the disk does not take it,
   * healing goes on without: the slots of the store must not depend on it.
   * @param live slots of the newer generation that lived at the last look.
   * @returns why it was not written; `undefined` when it was.
   * @throws EvidenceError STORE_ROLLED_BACK, ProblemError NODE_FENCED; and the store's error once enough slots live to
   *   open the store again.
   */
  async begin(live: number): Promise<string | undefined> {
    const { hold, sealed, store, book, byCustodians, openings, older } = this.#node;
    hold.requireCurrent();
    const { lease } = store;
    this.#heldAtMs ??= this.#monotonicMs;
    if (this.leaseWaitMs > 0) return 'an earlier instance may write until its lease has run out';
    if (lease?.notRenewed !== undefined) return lease.notRenewed;
    try {
      // One step: a store that takes writes again always says that custodians opened it.
      await sealed.batch([
        ...bootRecords(hold.incarnation, lease?.leaseMs),
        ...openings.recordOf(byCustodians),
      ]);
    } catch (error) {
      if (live >= (book.newest?.t ?? 1) && isPoisoned(error)) throw error;
      return `the first record was not written: ${String(error)}`;
    }
    hold.begin();
    store.release();
    // Before the keyslot file changes: what a cut off change of the store key left is known by that file alone.
    await older.save();
    this.#parts.log('info', 'node.holds', { incarnation: hold.incarnation.number });
    return undefined;
  }

  /** Something changed for the better: the next look for lost slots may be made at once. */
  hurry(): void {
    this.#looks.hurry();
  }

  /**
   * Whether the store may be closed although this process has its key: t slots of one generation are proved to live at
   * servers that a recovery believes, or the key is no longer in force, or custodians gave it and can give it again.
   */
  async mayClose(snapshot: ChainSnapshot, signal: AbortSignal): Promise<boolean> {
    const { book, hold, identity, byCustodians } = this.#node;
    if (byCustodians !== undefined || hold.newest.number === LAST_NUMBER) return true;
    const holders = new KeyHolders(this.#parts.tools.vetter, snapshot, signal);
    const live = new Map<string, KeyHolder>();
    const look = async (slot: Slot): Promise<void> => {
      const found = holders.find(slot);
      if (!('holder' in found)) return;
      const { client } = this.#parts.tools;
      const lineage = await askLineage(client, hold, found.holder.record, identity.account, signal);
      if (!lineage?.slots.some((one) => equalBytes(one, slot.slotId))) return;
      if ((await holders.vet(found.holder)) === undefined) live.set(toHex(slot.slotId), found.holder);
    };
    await Promise.all(book.slots().map(({ slot }) => look(slot)));
    return this.#generations.some(({ slots, t, n }) => {
      const held = slots.flatMap(({ slotId }) => live.get(toHex(slotId)) ?? []);
      return countedSlots(held, { t, n }) >= t;
    });
  }

  /** The generations that open the store: a recovery refuses those below the minimum threshold. */
  get #generations(): readonly Generation[] {
    const { minimumThreshold } = this.#parts.options;
    return (this.#node.book.file?.generations ?? []).filter(({ t }) => t >= minimumThreshold);
  }

  /**
   * How long this boot, which holds, still waits for the lease of an earlier instance, in milliseconds: that of its own
   * trust section, or of the section of the instance that wrote last, whichever is longer.
   */
  get leaseWaitMs(): number {
    const { store, formerLeaseMs } = this.#node;
    if (this.#heldAtMs === undefined) return 0;
    const leaseMs = Math.max(store.lease?.leaseMs ?? 0, formerLeaseMs);
    return Math.max(0, this.#heldAtMs + leaseMs - this.#monotonicMs);
  }

  get #monotonicMs(): number {
    return monotonicMsOf(this.#parts.tools.clock);
  }

  #targets({ servers }: ChainSnapshot): readonly HoldTarget[] {
    const { book, hold, identity } = this.#node;
    return book.slots().flatMap(({ generation, slot: { server, slotId } }) => {
      const peer = servers.find(({ account }) => equalBytes(account, server));
      const key = book.keyOf(slotId);
      if (peer === undefined || key === undefined) return [];
      const held = { account: identity.account, slotId, key, observer: hold };
      return [{ peer, held, generation: generation.generation }];
    });
  }

  /** Custodians were asked because the servers are gone: silence beyond patience is enough then. */
  get #mayPassOverSilent(): boolean {
    const { patienceMs } = this.#parts.options;
    return this.#node.byCustodians !== undefined && this.#monotonicMs - this.#begunAtMs >= patienceMs;
  }

  /** Slots that are proved to be lost: by another process of their server, an answer under the lineage key, or the chain. */
  async #lostSlots(snapshot: ChainSnapshot, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const { book, hold, identity } = this.#node;
    const { account } = identity;
    const { tools, presentProcess } = this.#parts;
    const { client } = tools;
    const lost = new Set<string>();
    const look = async ({ server, slotId, instanceId }: Slot): Promise<void> => {
      const record = snapshot.servers.find((candidate) => equalBytes(candidate.account, server));
      const lineage =
        record === undefined ? undefined : await askLineage(client, hold, record, account, signal);
      const isGone =
        record === undefined ||
        (lineage === undefined
          ? this.#mayPassOverSilent ||
            (await presentProcess({ record, account, known: [instanceId], snapshot, signal }).then(
              (present) => !equalBytes(present, instanceId),
              () => false,
            ))
          : // A full answer may have left the slot out.
            lineage.slots.length < MAX_LINEAGE_SLOTS &&
            !lineage.slots.some((one) => equalBytes(one, slotId)));
      if (isGone) lost.add(toHex(slotId));
    };
    await Promise.all(book.slots().map(({ slot }) => look(slot)));
    return lost;
  }
}
