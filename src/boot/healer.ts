import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ChainSnapshot, ChainView } from '../chain/chain-view.ts';
import { eligibleServers } from '../keyslots/choose-servers.ts';
import { buildGeneration, nextGeneration } from '../keyslots/generations.ts';
import type { Generation } from '../keyslots/keyslot-file.ts';
import { RecoveryAttempt } from '../keyslots/recovery-attempt.ts';
import { type Quorum, thresholdFor } from '../keyslots/threshold.ts';
import type { Log } from '../observe/log.ts';
import { type Enrolment, type EnrolmentTools, enrol } from './enrolment.ts';
import { runKeyRound } from './key-round.ts';
import type { NodeState } from './node-state.ts';
import type { OpenNode } from './open-node.ts';
import { describeFailure, failureOf, type PeerFailure } from './peer-failure.ts';
import type { DroppedSlot } from './slot-book.ts';
import {
  type CheckedSlot,
  checkSlots,
  confirmations,
  isLive,
  lostSlots,
  type SlotCheck,
} from './slot-check.ts';

/** Rounds in which a boot raises its claim in one tick. */
const MAX_CLAIM_ROUNDS = 4;

/** Keys to be erased that are remembered at once. */
const MAX_TO_FORGET = 1024;

const wrongKey: PeerFailure = { kind: 'lied', detail: 'its key does not open the slot' };

/** How patiently a node heals. */
export interface HealingOptions {
  readonly bootstrap: boolean;
  readonly minimumThreshold: number;
  /** How long a server may be silent before its slot is replaced. */
  readonly patienceMs: number;
  /** First wait after an attempt that brought nothing; doubles. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

/** What healing works with. */
export interface HealerParts {
  readonly tools: EnrolmentTools;
  readonly chain: ChainView;
  readonly log: Log;
  readonly options: HealingOptions;
}

/**
 * Keeps n slots of a store alive. Every {@link tick} looks at all slots and at the chain, and does what is missing;
 * it keeps no plan, so a tick that failed half way is repaired by the next.
 */
export class Healer {
  readonly #parts: HealerParts;
  readonly #node: OpenNode;
  /** Since when a server has been of no help, by slot. */
  readonly #silentSinceMs = new Map<string, number>();
  /** Why the key of a slot is not known, by slot. */
  readonly #unknown = new Map<string, PeerFailure>();
  #live = 0;
  /** Whether t servers have shown this boot's claim. */
  #holdsAccount = false;
  #attemptNotBeforeMs = 0;
  #learnNotBeforeMs = 0;
  #learnWaitMs: number;
  /** Slots that no generation needs, until their servers have heard of it; by slot. */
  readonly #toForget = new Map<string, DroppedSlot>();
  #attemptWaitMs: number;
  #fencedBy: string | undefined;

  constructor(parts: HealerParts, node: OpenNode) {
    this.#parts = parts;
    this.#node = node;
    this.#attemptWaitMs = parts.options.retryMinMs;
    this.#learnWaitMs = parts.options.retryMinMs;
  }

  /** One look at everything. Returns the state of the node afterwards. */
  async tick(signal: AbortSignal): Promise<NodeState> {
    if (this.#fencedBy !== undefined) return { name: 'fenced', reason: this.#fencedBy };
    const { chain, tools, options } = this.#parts;
    const snapshot = await chain.snapshot();
    this.#forgetDropped([], snapshot);
    await this.#learnMissingKeys(snapshot, signal);
    let check = await this.#settleClaim(snapshot, signal);
    if (this.#isOvertaken(check)) return this.#fence(check.newerNumber);
    const eligible = eligibleServers(snapshot, { account: this.#node.identity.account });
    const quorum = thresholdFor(eligible.length, options);
    if (quorum === undefined || quorum.t < options.minimumThreshold) {
      return this.#state(check, `the chain shows ${eligible.length} key servers`);
    }
    if (!this.#needsGeneration(check, quorum) || tools.clock.nowMs() < this.#attemptNotBeforeMs) {
      return this.#state(check, 'waiting before the next attempt to enrol');
    }
    const made = await this.#makeGeneration(snapshot, quorum, check, signal);
    if (made) check = await this.#check(snapshot, signal);
    if (this.#isOvertaken(check)) return this.#fence(check.newerNumber);
    return this.#state(check, 'too few key servers gave a key');
  }

  /**
   * Until this boot holds its account at t servers it is the newest boot that it knows of: what an earlier one left
   * behind at fewer servers must not stop it, so it claims above that.
   */
  async #settleClaim(snapshot: ChainSnapshot, signal: AbortSignal): Promise<SlotCheck> {
    let check = await this.#check(snapshot, signal);
    for (let round = 0; !this.#holdsAccount && check.newerNumber > 0 && round < MAX_CLAIM_ROUNDS; round++) {
      this.#node.claim.raiseAbove(check.newerNumber);
      check = await this.#check(snapshot, signal);
    }
    const held = this.#newest(check).filter(({ claim }) => claim === 'own').length;
    const threshold = this.#node.book.newest?.t ?? 1;
    this.#holdsAccount ||= held >= threshold;
    return check;
  }

  /**
   * Whether so many servers of one generation show a newer claim that this boot cannot hold t of them any more. The
   * older generation counts too: it may be the only one that the newer instance has.
   */
  #isOvertaken({ checked }: SlotCheck): boolean {
    if (!this.#holdsAccount) return false;
    const newer = new Set(
      checked.filter(({ claim }) => claim === 'newer').map(({ slot }) => toHex(slot.slotId)),
    );
    return (this.#node.book.file?.generations ?? []).some(
      ({ slots, n, t }) => slots.filter(({ slotId }) => newer.has(toHex(slotId))).length > n - t,
    );
  }

  async #check(snapshot: ChainSnapshot, signal: AbortSignal): Promise<SlotCheck> {
    const { tools, log } = this.#parts;
    const check = await checkSlots(
      tools.client,
      this.#node,
      snapshot,
      { live: this.#live, unknown: this.#unknown },
      signal,
    );
    // The newer instance may live on the slots that this one would give up.
    if (this.#isOvertaken(check)) return check;
    this.#forgetDropped(await this.#node.book.note(confirmations(check), lostSlots(check)), snapshot);
    this.#live = this.#newest(check).filter(isLive).length;
    const nowMs = tools.clock.nowMs();
    for (const { slot, report, instanceId } of check.checked) {
      const name = toHex(slot.slotId);
      if (instanceId !== undefined) {
        this.#silentSinceMs.delete(name);
      } else if (!this.#silentSinceMs.has(name)) {
        this.#silentSinceMs.set(name, nowMs);
        const reason =
          typeof report.standing === 'string' ? 'its key is not known yet' : describeFailure(report.standing);
        log('warn', 'slot.lost', { server: encodeSs58(slot.server), reason });
      }
    }
    return check;
  }

  /** The slots of the newer generation. */
  #newest({ checked }: SlotCheck): readonly CheckedSlot[] {
    const slots = this.#node.book.newest?.slots ?? [];
    return checked.filter(({ slot }) => slots.some(({ slotId }) => equalBytes(slotId, slot.slotId)));
  }

  #needsGeneration(check: SlotCheck, quorum: Quorum): boolean {
    const newest = this.#node.book.newest;
    if (newest === undefined) return true;
    if (newest.t !== quorum.t || newest.n !== quorum.n || newest.slots.length < newest.n) return true;
    const nowMs = this.#parts.tools.clock.nowMs();
    return this.#newest(check).some(({ slot, report, instanceId }) => {
      if (instanceId !== undefined) return false;
      const { standing } = report;
      // A server that says that its memory is gone, or that left the chain, does not come back with the key.
      if (typeof standing !== 'string' && ['forgot', 'departed', 'lied'].includes(standing.kind)) return true;
      return nowMs - (this.#silentSinceMs.get(toHex(slot.slotId)) ?? nowMs) >= this.#parts.options.patienceMs;
    });
  }

  /** Enrols anew; true when a generation was made that is better than what there was. */
  async #makeGeneration(
    snapshot: ChainSnapshot,
    quorum: Quorum,
    check: SlotCheck,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { tools, log } = this.#parts;
    const { identity, book, storeId, storeKey } = this.#node;
    const newest = this.#newest(check);
    const enrolled = newest.filter(isLive).map(({ slot }) => slot.server);
    // Fewer servers than this would not be better than what there is.
    const worthwhile = Math.min(quorum.n, Math.max(quorum.t, this.#live + 1));
    const enrolment = await enrol(tools, {
      account: identity.account,
      snapshot,
      quorum,
      enrolled,
      worthwhile,
      signal,
    });
    this.#logFailures(enrolment);
    const count = enrolment.servers.length;
    if (signal.aborted || count < worthwhile || (count < quorum.n && isContradicted(check, enrolment))) {
      this.#backOff(count, quorum);
      this.#forgetEnrolment(enrolment, snapshot);
      return false;
    }
    const generation = await buildGeneration(
      {
        account: identity.account,
        storeId,
        storeKey,
        generation: nextGeneration(book.file),
        quorum,
        enrolled: enrolment.servers,
      },
      tools.random,
    );
    const living = new Set(check.checked.filter(isLive).map(({ slot }) => toHex(slot.slotId)));
    const add = book.add({ account: identity.account, storeId }, generation, enrolment.servers, (slot) =>
      living.has(toHex(slot.slotId)),
    );
    const dropped = await add.catch((error: unknown) => {
      // The keys are not forgotten: after a failed fsync the new file may be in force all the same.
      this.#backOff(count, quorum);
      throw error;
    });
    this.#forgetDropped(dropped, snapshot);
    log('info', 'slots.generation', {
      generation: generation.generation,
      t: quorum.t,
      n: quorum.n,
      slots: count,
    });
    if (count < quorum.n) this.#backOff(count, quorum);
    else this.#attemptWaitMs = this.#parts.options.retryMinMs;
    return true;
  }

  #backOff(count: number, { t, n }: Quorum): void {
    const { tools, options, log } = this.#parts;
    const jitter = 0.5 + (tools.random(1)[0] ?? 0) / 255;
    this.#attemptNotBeforeMs = tools.clock.nowMs() + this.#attemptWaitMs * jitter;
    this.#attemptWaitMs = Math.min(this.#attemptWaitMs * 2, options.retryMaxMs);
    log('warn', 'slots.short', { granted: count, t, n });
  }

  /** Something changed for the better: the next tick may try at once. */
  hurry(): void {
    this.#attemptNotBeforeMs = 0;
    this.#attemptWaitMs = this.#parts.options.retryMinMs;
  }

  /** After a recovery with t answers the other servers' keys are still to be fetched; one quote serves them all. */
  async #learnMissingKeys(snapshot: ChainSnapshot, signal: AbortSignal): Promise<void> {
    const { tools, options } = this.#parts;
    const nowMs = tools.clock.nowMs();
    if (nowMs < this.#learnNotBeforeMs) return;
    for (const generation of this.#node.book.file?.generations ?? []) {
      await this.#learnKeysOf(generation, snapshot, signal);
    }
    const isAllKnown = this.#node.book
      .slots()
      .every(({ slot }) => this.#node.book.keyOf(slot.slotId) !== undefined);
    this.#learnWaitMs = isAllKnown ? options.retryMinMs : Math.min(this.#learnWaitMs * 2, options.retryMaxMs);
    this.#learnNotBeforeMs = isAllKnown ? 0 : nowMs + this.#learnWaitMs;
  }

  /** One round: a quote does not name a server twice, so each generation needs its own. */
  async #learnKeysOf(generation: Generation, snapshot: ChainSnapshot, signal: AbortSignal): Promise<void> {
    const { tools } = this.#parts;
    const { book, identity } = this.#node;
    const targets = generation.slots.flatMap((slot) => {
      const peer = snapshot.servers.find(({ account }) => equalBytes(account, slot.server));
      return peer !== undefined && book.keyOf(slot.slotId) === undefined
        ? [{ peer, slotId: slot.slotId, recoveryToken: slot.recoveryToken }]
        : [];
    });
    if (targets.length === 0) return;
    await runKeyRound(tools, {
      account: identity.account,
      intent: 'recover',
      targets,
      // Whoever answers is heard at once; one that hangs gets a quote of its own.
      quorum: 1,
      signal,
      onResult: ({ slotId, peer }, result) => {
        this.#unknown.set(toHex(slotId), result.ok ? wrongKey : result.failure);
        if (!result.ok || book.file === undefined) return;
        const { keyId, key } = result.answer.grant;
        // Only the key that opens the slot counts: a liar could prove to hold whatever key it gave.
        const attempt = new RecoveryAttempt(book.file, 1);
        if (attempt.offer({ server: peer.account, slotId, keyId, key }) === 'opened') book.learn(slotId, key);
        attempt.wipe();
      },
    });
  }

  #state(check: SlotCheck, reason: string): NodeState {
    const newest = this.#node.book.newest;
    const slots = this.#newest(check).map(({ report }) => report);
    if (newest === undefined) return { name: 'unbacked', reason, slots };
    const { t, n, generation } = newest;
    const backed = this.#node.book.isComplete && this.#live === n;
    if (backed) this.#attemptWaitMs = this.#parts.options.retryMinMs;
    return { name: backed ? 'backed' : 'degraded', live: this.#live, t, n, generation, slots };
  }

  #fence(number: number): NodeState {
    const reason = `incarnation ${number} of this node has claimed the account`;
    this.#fencedBy = reason;
    this.#node.store.fence(reason);
    this.#parts.log('error', 'node.fenced', { incarnation: number, own: this.#node.claim.current.number });
    return { name: 'fenced', reason };
  }

  #logFailures({ failures }: Enrolment): void {
    for (const { record, failure } of failures.values()) {
      const reason = describeFailure(failure);
      this.#parts.log('warn', 'enrolment.refused', { server: encodeSs58(record.account), reason });
    }
  }

  #forgetEnrolment({ servers }: Enrolment, snapshot: ChainSnapshot): void {
    const { account } = this.#node.identity;
    this.#forgetDropped(
      servers.map(({ server, slotId, key }) => ({ server, account, slotId, key })),
      snapshot,
    );
  }

  /**
   * Erases keys that no generation needs, and tries again what did not work before: a key that lives on would open an
   * older copy of the disk. A server that never hears of it drops them when it restarts.
   */
  #forgetDropped(dropped: readonly DroppedSlot[], snapshot: ChainSnapshot): void {
    const { client } = this.#parts.tools;
    for (const slot of dropped) {
      const key = new SecretBytes(new Uint8Array(slot.key.reveal()));
      if (this.#toForget.size < MAX_TO_FORGET) this.#toForget.set(toHex(slot.slotId), { ...slot, key });
    }
    for (const [name, slot] of this.#toForget) {
      const done = (): void => {
        this.#toForget.delete(name);
        slot.key.wipe();
      };
      const record = snapshot.servers.find(({ account }) => equalBytes(account, slot.server));
      if (record === undefined) continue;
      client.forget(record, slot).then(done, (error: unknown) => {
        const failure = failureOf(error);
        if (failure.kind === 'forgot') done();
        const reason = describeFailure(failure);
        this.#parts.log('debug', 'slot.not-forgotten', { server: encodeSs58(slot.server), reason });
      });
    }
  }
}

/**
 * Whether a server that is said to have forgotten a slot has just proved, by the seal of its grant, to be the very
 * process that issued the slot. Then "forgot" was not its word, and fewer than n new slots are no improvement.
 */
function isContradicted({ checked }: SlotCheck, { servers }: Enrolment): boolean {
  return checked.some(
    ({ slot, report: { standing } }) =>
      typeof standing !== 'string' &&
      standing.kind === 'forgot' &&
      servers.some(
        ({ server, instanceId }) =>
          equalBytes(server, slot.server) && equalBytes(instanceId, slot.instanceId),
      ),
  );
}
