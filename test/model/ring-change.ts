import {
  type Configuration,
  changing,
  isComplete,
  isRead,
  isSettled,
  isWritten,
  type ReplicaSet,
  sameConfiguration,
} from '../../src/ring/placement/configuration.ts';
import type { Model, Step } from './explorer.ts';

/** What is switched off to see what it is for. */
export interface RingRules {
  /** A write needs its quorum in both sets of a change, not in their union. */
  readonly writesToBoth: boolean;
  /** The new set serves when a write quorum of it is complete, not when the chain shows it. */
  readonly waitsForComplete: boolean;
  /** A member fetches from holders that are in the change, and so serve the old set no longer. */
  readonly fetchesAfterAdoption: boolean;
  /** A holder refuses a request for another configuration than its own. */
  readonly refusesOthers: boolean;
}

export const allRingRules: RingRules = {
  writesToBoth: true,
  waitsForComplete: true,
  fetchesAfterAdoption: true,
  refusesOthers: true,
};

/** A member, as it is for one record. */
interface Holder {
  /** 0, 2, 4: one set serves; 1, 3: the change between two of them is under way. */
  readonly stage: number;
  /** Whether it has the write of this run. */
  readonly has: boolean;
  readonly acknowledged: boolean;
  /** Whether it answered the reader without the write. */
  readonly answered: boolean;
  /** For each change, a bit for each member from which it fetched. */
  readonly fetched: readonly number[];
}

interface RingState {
  readonly holders: readonly Holder[];
  /** Stages that writer and reader work by; -1 before they begin. */
  readonly writer: number;
  readonly reader: number;
}

const LAST_STAGE = 4;
const STAGES = [0, 1, 2, 3, 4];
const START: Holder = { stage: 0, has: false, acknowledged: false, answered: false, fetched: [0, 0] };

/**
 * One record while its set changes twice, S0 → S1 → S2, with one write and one read. Members follow the chain as late
 * as they like; writer and reader may have any view, older or newer than the holders. A reader that gets its quorum
 * after the write was acknowledged, and does not meet it, is the violation.
 */
export class RingChangeModel implements Model<RingState> {
  readonly initial: RingState;
  readonly #sets: readonly ReplicaSet[];
  readonly #members: readonly string[];
  readonly #rules: RingRules;

  constructor(sets: readonly [string, string, string], rules: RingRules) {
    this.#sets = sets.map((letters) => [...letters]);
    this.#members = [...new Set(sets.join(''))].sort();
    this.#rules = rules;
    this.initial = { holders: this.#members.map(() => START), writer: -1, reader: -1 };
  }

  encode({ holders, writer, reader }: RingState): string {
    const texts = holders.map(
      ({ stage, has, acknowledged, answered, fetched }) =>
        `${stage}${Number(has)}${Number(acknowledged)}${Number(answered)}${fetched}`,
    );
    return `${texts}|${writer}|${reader}`;
  }

  steps(state: RingState): readonly Step<RingState>[] {
    const ofMembers = this.#members.flatMap((_, index) => [
      ...this.#advance(state, index),
      ...this.#fetch(state, index),
    ]);
    return [...ofMembers, ...(this.#isAcknowledged(state) ? this.#read(state) : this.#write(state))];
  }

  /** The chain shows a change at any time; the rule says when it is over. */
  #advance(state: RingState, index: number): Step<RingState>[] {
    const { stage } = holderAt(state, index);
    if (stage === LAST_STAGE || (stage % 2 === 1 && !this.#mayServe(state, stage >> 1))) return [];
    const name = `${this.#members[index]} goes to stage ${stage + 1}`;
    return [{ name, next: withHolder(state, index, { stage: stage + 1 }) }];
  }

  #mayServe(state: RingState, change: number): boolean {
    if (!this.#rules.waitsForComplete) return true;
    const complete = this.#namesOf(state, (holder) => this.#isComplete(holder, change));
    return isSettled(this.#setAt(change + 1), complete);
  }

  #isComplete({ fetched }: Holder, change: number): boolean {
    const from = (_: string, index: number) => ((fetched[change] ?? 0) & (1 << index)) !== 0;
    return isComplete(this.#setAt(change), new Set(this.#members.filter(from)));
  }

  /** A member of the new set fetches from one of the old set, its own copy included. */
  #fetch(state: RingState, index: number): Step<RingState>[] {
    const holder = holderAt(state, index);
    const change = holder.stage >> 1;
    const name = this.#members[index] ?? '';
    if (holder.stage % 2 === 0 || !this.#setAt(change + 1).includes(name)) return [];
    if (this.#isComplete(holder, change)) return [];
    return this.#setAt(change).flatMap((source) => {
      const at = this.#members.indexOf(source);
      const { stage, has } = holderAt(state, at);
      const isAsked = ((holder.fetched[change] ?? 0) & (1 << at)) !== 0;
      if (isAsked || (this.#rules.fetchesAfterAdoption && stage < holder.stage)) return [];
      const fetched = holder.fetched.map((mask, each) => (each === change ? mask | (1 << at) : mask));
      const next = withHolder(state, index, { has: holder.has || has, fetched });
      return [{ name: `${name} fetches from ${source}`, next }];
    });
  }

  #write(state: RingState): Step<RingState>[] {
    if (state.writer < 0)
      return STAGES.map((writer) => ({ name: `writer at ${writer}`, next: { ...state, writer } }));
    return this.#serving(state, state.writer)
      .filter((index) => !holderAt(state, index).acknowledged)
      .map((index) => ({
        name: `${this.#members[index]} stores the write`,
        next: withHolder(state, index, { has: true, acknowledged: true }),
      }));
  }

  #isAcknowledged(state: RingState): boolean {
    if (state.writer < 0) return false;
    const configuration = this.#configuration(state.writer);
    const union: Configuration = [[...new Set(configuration.flat())]];
    const acknowledged = this.#namesOf(state, (holder) => holder.acknowledged);
    return isWritten(this.#rules.writesToBoth ? configuration : union, acknowledged);
  }

  #read(state: RingState): Step<RingState>[] {
    if (state.reader < 0)
      return STAGES.map((reader) => ({ name: `reader at ${reader}`, next: { ...state, reader } }));
    return this.#serving(state, state.reader)
      .filter((index) => !holderAt(state, index).answered && !holderAt(state, index).has)
      .map((index) => {
        const next = withHolder(state, index, { answered: true });
        const answered = this.#namesOf(next, (holder) => holder.answered);
        const isMissed = isRead(this.#configuration(state.reader), answered);
        const violation = isMissed ? 'STALE READ of an acknowledged write' : undefined;
        return { name: `${this.#members[index]} answers the reader without it`, next, violation };
      });
  }

  /** Holders that serve a request that was computed at a stage. */
  #serving(state: RingState, stage: number): number[] {
    const asked = this.#configuration(stage);
    const indexes = this.#members.map((_, index) => index);
    return indexes.filter((index) => {
      const own = this.#configuration(holderAt(state, index).stage);
      const isAsked = asked.some((set) => set.includes(this.#members[index] ?? ''));
      return isAsked && (!this.#rules.refusesOthers || sameConfiguration(own, asked));
    });
  }

  #configuration(stage: number): Configuration {
    return changing(this.#setAt(stage >> 1), this.#setAt((stage + 1) >> 1));
  }

  #setAt(index: number): ReplicaSet {
    return this.#sets[index] ?? [];
  }

  #namesOf({ holders }: RingState, isMeant: (holder: Holder) => boolean): ReadonlySet<string> {
    return new Set(this.#members.filter((_, index) => isMeant(holders[index] ?? START)));
  }
}

const holderAt = ({ holders }: RingState, index: number): Holder => holders[index] ?? START;

const withHolder = (state: RingState, at: number, change: Partial<Holder>): RingState => ({
  ...state,
  holders: state.holders.map((holder, index) => (index === at ? { ...holder, ...change } : holder)),
});
