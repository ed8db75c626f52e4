import { renewalMinimums, renewalsNeeded, WriteLease } from '../../src/boot/node/write-lease.ts';
import { SlotId } from '../../src/bytes/fixed-bytes.ts';
import type { Model, Step } from './explorer.ts';

/** What is switched off to see what it is for. */
export interface LeaseRules {
  /** The lease counts from the question, not from the answer. */
  readonly countsFromQuestion: boolean;
  /** A boot that holds waits for the lease of an earlier instance. */
  readonly waits: boolean;
  /** The mark must be shown at n − t + 1 servers, one of which is among any t. */
  readonly needsOverlap: boolean;
  /** And at t: with fewer live slots another instance may hold by new ones, at other servers. */
  readonly needsThreshold: boolean;
}

export const allLeaseRules: LeaseRules = {
  countsFromQuestion: true,
  waits: true,
  needsOverlap: true,
  needsThreshold: true,
};

/** How large the network is, and how long is looked. */
export interface LeaseBounds {
  readonly slots: number;
  readonly threshold: number;
  /** Servers without a slot. */
  readonly others: number;
  /** The lease, in ticks. */
  readonly leaseTicks: number;
  readonly ticks: number;
  /** Servers that lose their memory. */
  readonly restarts: number;
}

/** A question of the former instance at a server: when it was asked, and what the server did with it. */
interface Question {
  readonly askedAt: number;
  readonly answer: 'none' | 'shown' | 'overtaken';
}

/** A server: whose mark it shows, and whether it has the slot of the generation still. */
interface LeaseServer {
  readonly newer: boolean;
  readonly hasSlot: boolean;
  readonly question: Question | undefined;
  /** When the former instance asked the question whose answer renewed it. */
  readonly renewedAt: number;
}

/** Two instances of one store: the former one holds from the start, the newer one is a copy of its disk. */
interface LeaseState {
  readonly now: number;
  readonly servers: readonly LeaseServer[];
  /** A newer mark ends the former instance for good. */
  readonly fenced: boolean;
  /** When the newer instance held first; `undefined` before. */
  readonly heldAt: number | undefined;
  readonly restarts: number;
}

const TICK_MS = 1_000;

/**
 * The lease of `trust.fencing.leaseMs` while a host cuts the former instance off as it likes: answers come late or never, and
 * time goes on between any two steps. The former instance decides by the code (`WriteLease`). Two writers at one time are the
 * violation.
 */
export class LeaseModel implements Model<LeaseState> {
  readonly initial: LeaseState;
  readonly #rules: LeaseRules;
  readonly #bounds: LeaseBounds;
  readonly #slotIds: readonly SlotId[];

  constructor(rules: LeaseRules, bounds: LeaseBounds) {
    this.#rules = rules;
    this.#bounds = bounds;
    this.#slotIds = Array.from({ length: bounds.slots }, (_, index) =>
      SlotId.of(new Uint8Array(16).fill(index + 1)),
    );
    const server = (hasSlot: boolean) => ({ newer: false, hasSlot, question: undefined, renewedAt: 0 });
    this.initial = {
      now: 0,
      servers: Array.from({ length: bounds.slots + bounds.others }, (_, index) =>
        server(index < bounds.slots),
      ),
      fenced: false,
      heldAt: undefined,
      restarts: 0,
    };
  }

  steps(state: LeaseState): readonly Step<LeaseState>[] {
    // Then there is one writer at most.
    if (state.fenced) return [];
    return [
      ...this.#time(state),
      ...state.servers.flatMap((server, index) => [
        ...this.#former(state, server, index),
        ...this.#newer(state, server, index),
        ...this.#restart(state, server, index),
      ]),
      ...this.#holds(state),
    ].map((step) => ({ ...step, violation: this.#violation(step.next) }));
  }

  encode({ now, servers, fenced, heldAt, restarts }: LeaseState): string {
    const texts = servers.map(({ newer, hasSlot, question, renewedAt }, index) =>
      [index < this.#bounds.slots, newer, hasSlot, question?.askedAt, question?.answer, renewedAt].join('.'),
    );
    return `${now} ${fenced} ${heldAt} ${restarts} ${texts.sort()}`;
  }

  #time(state: LeaseState): Step<LeaseState>[] {
    if (state.now >= this.#bounds.ticks) return [];
    return [{ name: 'time passes', next: { ...state, now: state.now + 1 } }];
  }

  /** It asks, the server acts, and the answer arrives: time may pass between any two. */
  #former(state: LeaseState, server: LeaseServer, index: number): Step<LeaseState>[] {
    // It knows of no slots but its own.
    if (index >= this.#bounds.slots) return [];
    const { question } = server;
    if (question === undefined)
      return [
        this.#step(state, index, `A asks s${index}`, { question: { askedAt: state.now, answer: 'none' } }),
      ];
    if (question.answer === 'none') {
      if (!server.hasSlot)
        return [this.#step(state, index, `s${index} knows no slot`, { question: undefined })];
      const answer = server.newer ? 'overtaken' : 'shown';
      return [this.#step(state, index, `s${index} answers A`, { question: { ...question, answer } })];
    }
    const name = `A hears s${index}`;
    if (question.answer === 'overtaken')
      return [
        { name, next: { ...this.#step(state, index, name, { question: undefined }).next, fenced: true } },
      ];
    const renewedAt = this.#rules.countsFromQuestion ? question.askedAt : state.now;
    return [this.#step(state, index, name, { question: undefined, renewedAt })];
  }

  /** The newer instance shows its mark at a server that has its slot, or where it made a new one because too few are left. */
  #newer(state: LeaseState, server: LeaseServer, index: number): Step<LeaseState>[] {
    if (server.newer) return [];
    const living = state.servers.filter(({ hasSlot }) => hasSlot).length;
    if (!server.hasSlot && living >= this.#bounds.threshold) return [];
    return [this.#step(state, index, `B shows its mark at s${index}`, { newer: true })];
  }

  #restart(state: LeaseState, server: LeaseServer, index: number): Step<LeaseState>[] {
    if (!server.hasSlot || server.newer || state.restarts >= this.#bounds.restarts) return [];
    const { next } = this.#step(state, index, '', { hasSlot: false });
    return [{ name: `s${index} restarts`, next: { ...next, restarts: state.restarts + 1 } }];
  }

  #holds(state: LeaseState): Step<LeaseState>[] {
    const shown = state.servers.filter(({ newer }) => newer).length;
    if (state.heldAt !== undefined || shown < this.#bounds.threshold) return [];
    return [{ name: 'B holds', next: { ...state, heldAt: state.now } }];
  }

  #violation(state: LeaseState): string | undefined {
    const { heldAt, now, fenced } = state;
    const waited = this.#rules.waits ? this.#bounds.leaseTicks : 0;
    if (heldAt === undefined || now < heldAt + waited || fenced || !this.#isValid(state)) return undefined;
    return 'TWO WRITERS: both instances may write now';
  }

  /** Whether the former instance may write, by the lease of the code. */
  #isValid({ servers, now }: LeaseState): boolean {
    const { slots: n, threshold: t, leaseTicks } = this.#bounds;
    let nowMs = 0;
    const lease = new WriteLease(
      leaseTicks * TICK_MS,
      { nowMs: () => nowMs, monotonicMs: () => nowMs, sleep: () => Promise.resolve() },
      false,
    );
    lease.watch(() => [{ slotIds: this.#slotIds, needed: this.#needed(n, t) }]);
    for (const [index, { renewedAt }] of servers.entries()) {
      const slotId = this.#slotIds[index];
      if (slotId !== undefined) lease.renewed(slotId, renewedAt * TICK_MS);
    }
    nowMs = now * TICK_MS;
    return lease.isValid;
  }

  #needed(n: number, t: number): number {
    const { needsOverlap, needsThreshold } = this.#rules;
    if (needsOverlap && needsThreshold) return renewalsNeeded({ t, n });
    const { overlap, liveSlots } = renewalMinimums({ t, n });
    return needsOverlap ? overlap : needsThreshold ? liveSlots : 1;
  }

  #step(state: LeaseState, index: number, name: string, change: Partial<LeaseServer>): Step<LeaseState> {
    const servers = state.servers.map((server, at) => (at === index ? { ...server, ...change } : server));
    return { name, next: { ...state, servers } };
  }
}
