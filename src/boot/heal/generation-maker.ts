import { equalBytes } from '../../bytes/concat.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import { eligibleServers } from '../../keyslots/choose-servers.ts';
import type { CustodyPolicy } from '../../keyslots/custody-parts.ts';
import { buildGeneration, nextGeneration } from '../../keyslots/generations.ts';
import { type Quorum, thresholdFor } from '../../keyslots/threshold.ts';
import type { Log } from '../../observe/log.ts';
import type { OpenNode } from '../node/open-node.ts';
import { type Enrolment, type EnrolmentInput, type EnrolmentTools, enrol } from '../obtain/enrolment.ts';
import { describeFailure, failureOf } from '../peer/peer-failure.ts';
import type { AttemptPace } from './attempt-pace.ts';
import type { KeyErasure } from './key-erasure.ts';
import { type SlotCheck, standingOf } from './slot-check.ts';
import type { SuspectedServers } from './suspected-servers.ts';

/** The parts that the making of a generation uses. */
export interface GenerationMakerParts {
  readonly tools: EnrolmentTools;
  readonly log: Log;
  readonly options: { readonly bootstrap: boolean; readonly minimumThreshold: number };
  readonly custody?: CustodyPolicy | undefined;
  readonly pace: AttemptPace;
  readonly erasure: KeyErasure;
  readonly suspected: SuspectedServers;
}

/** The steps of making a generation of slots: new server keys, the keyslot file, and the way back. */
export class GenerationMaker {
  readonly #parts: GenerationMakerParts;
  readonly #node: OpenNode;
  /** When the last enrolment began that showed the mark of this boot, by the clock of the lease. */
  #shownAtMs: number | undefined;

  constructor(parts: GenerationMakerParts, node: OpenNode) {
    this.#parts = parts;
    this.#node = node;
  }

  /** The quorum of a new generation; `undefined` while the chain shows too few servers. */
  quorumOf(snapshot: ChainSnapshot): Quorum | undefined {
    const { options } = this.#parts;
    const quorum = thresholdFor(this.eligible(snapshot), options);
    return quorum === undefined || quorum.t < options.minimumThreshold ? undefined : quorum;
  }

  /** How many key servers the chain shows that this node could use. */
  eligible(snapshot: ChainSnapshot): number {
    return eligibleServers(snapshot, { account: this.#node.identity.account }).length;
  }

  /**
   * Asks for new slots and links them: with the mark of this boot if it holds, else with the newest one that there is.
   * @throws EvidenceError STORE_ROLLED_BACK to a boot that does not hold; the new keys are erased.
   */
  async enrol(
    snapshot: ChainSnapshot,
    quorum: Quorum,
    rest: Pick<EnrolmentInput, 'enrolled' | 'last' | 'draining'> & { readonly worthwhile?: number },
    signal: AbortSignal,
  ): Promise<Enrolment> {
    const { hold, store, identity } = this.#node;
    const { tools, erasure } = this.#parts;
    this.#shownAtMs = hold.holds ? store.lease?.nowMs() : undefined;
    const enrolment = await enrol(tools, {
      worthwhile: quorum.t,
      ...rest,
      account: identity.account,
      snapshot,
      quorum,
      link: {
        lineage: hold.lineage,
        confirm: true,
        incarnation: hold.holds ? hold.incarnation : hold.newest,
        head: () => hold.headOf(store.head()),
        observer: hold,
      },
      signal,
    });
    this.#logFailures(enrolment);
    for (const { server, slotId } of enrolment.unlinked) erasure.abandon(server, slotId);
    try {
      if (!hold.holds) hold.requireCurrent();
    } catch (error) {
      this.forget(enrolment, snapshot);
      throw error;
    }
    return enrolment;
  }

  /** Puts a generation of these servers in front of the keyslot file. @throws what the disk throws. */
  async putInFront({ servers }: Enrolment, quorum: Quorum, check: Pick<SlotCheck, 'checked'>): Promise<void> {
    const { tools, log, suspected, custody } = this.#parts;
    const { identity, book, storeId, storeKey, hold, older, store } = this.#node;
    const { account } = identity;
    // The host may have put back an older keyslot file; a number is never used twice.
    const number = Math.max(nextGeneration(book.file), older.nextNumber);
    const generation = await buildGeneration(
      {
        account,
        storeId,
        storeKey,
        lineageSecret: hold.lineage.secret,
        generation: number,
        quorum,
        enrolled: servers,
        custody,
        formerCustody: book.newest?.custody,
      },
      tools.random,
    );
    if (this.#shownAtMs !== undefined)
      for (const { slotId } of servers) store.lease?.renewed(slotId, this.#shownAtMs);
    // What is not durable is tried again, as with generations that leave the file.
    await older.make(generation);
    const add = book.add({ account, storeId }, generation, servers, (slot) =>
      standingOf(slot, check, servers),
    );
    await add.catch((error: unknown) => {
      // The keys are not forgotten: a failed fsync may still have put the new file into force.
      this.backOff(servers.length, quorum);
      throw error;
    });
    suspected.taken(servers);
    log('info', 'slots.generation', {
      generation: number,
      t: quorum.t,
      n: quorum.n,
      slots: servers.length,
    });
    // Also with n slots: the next check shows whether they are still live.
    this.backOff(servers.length, quorum);
  }

  /** An attempt was made that brought this many slots. */
  backOff(count: number, { t, n }: Quorum): void {
    this.#parts.pace.backOff();
    if (count < n) this.#parts.log('warn', 'slots.short', { granted: count, t, n });
  }

  /** Has the keys of slots erased that no generation will have; what is not reached is no one's, and ages away. */
  forget({ servers }: Enrolment, snapshot: ChainSnapshot): void {
    const { hold, identity } = this.#node;
    const { tools, erasure, log } = this.#parts;
    for (const { server, slotId, key, recoveryToken } of servers) {
      recoveryToken.wipe();
      erasure.abandon(server, slotId);
      const record = snapshot.servers.find(({ account }) => equalBytes(account, server));
      if (record === undefined) continue;
      const incarnation = hold.holds ? hold.incarnation : hold.newest;
      tools.client
        .forget(record, { account: identity.account, slotId, key, observer: hold }, incarnation)
        .catch((error: unknown) => {
          const reason = describeFailure(failureOf(error));
          log('debug', 'slot.not-forgotten', { server: encodeSs58(server), reason });
        })
        .finally(() => key.wipe());
    }
  }

  #logFailures({ failures }: Enrolment): void {
    for (const { record, failure } of failures.values()) {
      const reason = describeFailure(failure);
      this.#parts.log('warn', 'enrolment.refused', { server: encodeSs58(record.account), reason });
    }
  }
}
