import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import { type CustodyPolicy, isSplitAmong } from '../../keyslots/custody-parts.ts';
import type { Quorum } from '../../keyslots/threshold.ts';
import type { Log } from '../../observe/log.ts';
import { type Clock, monotonicMsOf } from '../../time/clock.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { Enrolment, EnrolmentInput } from '../obtain/enrolment.ts';
import { describeFailure } from '../peer/peer-failure.ts';
import { DrainNotices } from './drain-notices.ts';
import { RepeatedClaims } from './repeated-claims.ts';
import {
  type CheckedSlot,
  hasForgotten,
  isDraining,
  isLive,
  newestOf,
  type SlotCheck,
} from './slot-check.ts';
import { contradicted, type SuspectedServers } from './suspected-servers.ts';
import { UnreachableSince } from './unreachable-since.ts';

/** Cap on the doublings of the patience with a server that says again and again that its memory is gone. */
const MAX_FORGETFUL_DOUBLINGS = 3;

/** What a {@link GenerationNeed} uses. */
export interface GenerationNeedParts {
  readonly clock: Clock;
  readonly log: Log;
  /** How long a server may be silent before its slot is replaced. */
  readonly patienceMs: number;
  /** The custodians that have to have parts of the store key. */
  readonly custody?: CustodyPolicy | undefined;
  /** Is shared with the maker of generations. */
  readonly suspected: SuspectedServers;
}

/** Which servers keep a slot in a new generation, which are asked last, and how many make it worthwhile. */
export type GenerationWish = Pick<EnrolmentInput, 'enrolled' | 'last' | 'draining'> & {
  readonly worthwhile: number;
};

/**
 * Whether the slots of a node have to be made again, and by which servers: from what the checks of its slots showed so
 * far.
 */
export class GenerationNeed {
  readonly #parts: GenerationNeedParts;
  readonly #node: OpenNode;
  readonly #unreachable = new UnreachableSince();
  readonly #drains: DrainNotices;
  /** Servers that said that their memory is gone. */
  readonly #forgetful: RepeatedClaims;

  constructor(parts: GenerationNeedParts, node: OpenNode) {
    const { patienceMs } = parts;
    this.#parts = parts;
    this.#node = node;
    this.#drains = new DrainNotices(patienceMs);
    this.#forgetful = new RepeatedClaims({ patienceMs, maxDoublings: MAX_FORGETFUL_DOUBLINGS });
  }

  /** Notes the results of a check. */
  note({ checked }: SlotCheck): void {
    const { log } = this.#parts;
    for (const { slot, report } of this.#unreachable.note(checked, this.#nowMs)) {
      const reason =
        typeof report.standing === 'string' ? 'its key is not known yet' : describeFailure(report.standing);
      log('warn', 'slot.lost', { server: encodeSs58(slot.server), reason });
    }
    for (const server of this.#drains.note(checked, this.#nowMs)) {
      log('info', 'server.draining', { server: encodeSs58(server) });
    }
    this.#parts.suspected.clear(checked);
  }

  /** Whether the newest generation is not what this quorum asks for, or has slots that are to be replaced. */
  isNeeded(check: SlotCheck, quorum: Quorum): boolean {
    const newest = this.#node.book.newest;
    if (newest === undefined) return true;
    if (newest.t !== quorum.t || newest.n !== quorum.n || newest.slots.length < newest.n) return true;
    if (!isSplitAmong(newest.custody, this.#parts.custody?.set)) return true;
    const checked = newestOf(this.#node, check);
    // A liar may cost generations, but a wait must never leave a store without a slot to spare: rolling restarts of
    // its servers within one day would take one slot after the other.
    const canWait = checked.filter(isLive).length > newest.t;
    return checked.some((one) => this.#isToBeReplaced(one, canWait));
  }

  #isToBeReplaced(one: CheckedSlot, canWait: boolean): boolean {
    const { slot, report } = one;
    const nowMs = this.#nowMs;
    if (isLive(one)) return isDraining(one) && this.#drains.shouldReplace(slot, nowMs);
    const kind = typeof report.standing === 'string' ? undefined : report.standing.kind;
    // A server that left the chain, or gave a wrong key, does not come back with the right one.
    if (kind === 'departed' || kind === 'lied') return true;
    const silentMs = this.#unreachable.lengthMs(slot, nowMs);
    const isDoubted = this.#parts.suspected.covers(slot);
    if (kind === 'forgot' && !isDoubted) {
      return !canWait || silentMs >= this.#forgetful.waitMs(slot.server, nowMs);
    }
    const factor = isDoubted ? this.#parts.suspected.patienceFactor(slot) : 1;
    return silentMs >= this.#parts.patienceMs * factor;
  }

  /** The generation to ask for. @param live slots of the newest one that live. */
  wish(check: SlotCheck, { servers }: ChainSnapshot, quorum: Quorum, live: number): GenerationWish {
    const nowMs = this.#nowMs;
    const staying = newestOf(this.#node, check).filter((one) => isLive(one) && !isDraining(one));
    // A restarted server keeps its rank the first time; one that gives keys and does not prove them is asked last.
    const unproved = check.checked.filter(
      (one) => !isLive(one) && (!hasForgotten(one) || this.#parts.suspected.covers(one.slot)),
    );
    const left = servers.filter(
      ({ account: server }) => this.#drains.wasLeft(server, nowMs) || this.#forgetful.isLast(server, nowMs),
    );
    return {
      enrolled: serversOf(staying),
      last: [...serversOf(unproved), ...left.map((server) => server.account)],
      draining: serversOf(check.checked.filter(isDraining)),
      // Fewer servers than this would not be better than what there is; a slot less for each server that drains is not.
      worthwhile: Math.min(quorum.n, Math.max(quorum.t, live, staying.length + 1)),
    };
  }

  /** Whether a generation of these servers would answer a "forgot" that is not true. */
  isDoubtful({ checked }: SlotCheck, { servers, unlinked }: Enrolment, { n }: Quorum): boolean {
    const granted = [...servers, ...unlinked];
    const fresh = this.#parts.suspected.learn(checked, granted);
    for (const server of fresh) this.#parts.log('warn', 'slot.doubted', { server: encodeSs58(server) });
    return fresh.length > 0 || (servers.length < n && contradicted(checked, granted).length > 0);
  }

  /** The servers of these slots of the generation before the newest one were left because of what they said. */
  replaced(former: readonly CheckedSlot[]): void {
    this.#drains.left(serversOf(former.filter(isDraining)), this.#nowMs);
    this.#forgetful.replaced(serversOf(former.filter(hasForgotten)), this.#nowMs);
  }

  /** All that is remembered here lives as long as the process, and the host sets the other clock. */
  get #nowMs(): number {
    return monotonicMsOf(this.#parts.clock);
  }
}

const serversOf = (slots: readonly CheckedSlot[]) => slots.map(({ slot }) => slot.server);
