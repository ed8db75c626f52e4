import {
  type Configuration,
  changing,
  isComplete,
  isSettled,
  type ReplicaSet,
  sameConfiguration,
} from '../../src/ring/placement/configuration.ts';
import type { Step } from './explorer.ts';

/** What of a change is switched off to see what it is for. */
export interface SetRules {
  /** The new set serves when a write quorum of it is complete, not when the chain shows it. */
  readonly waitsForComplete: boolean;
  /** A member fetches from holders that are in the change, and so serve the old set no longer. */
  readonly fetchesAfterAdoption: boolean;
  /** A holder refuses a request for another configuration than its own. */
  readonly refusesOthers: boolean;
}

/** A member, as it is for one record. */
export interface SetMember {
  /** 0, 2, 4: one set serves; 1, 3: the change between two of them is under way. */
  readonly stage: number;
  /** For each change, a bit for each member from which it fetched. */
  readonly fetched: readonly number[];
}

/** The members of all sets, in the order of their letters. */
export interface SetState<Member> {
  readonly holders: readonly Member[];
}

/**
 * One record while its set changes, S0 → S1 → …: members follow the chain as late as they like, and fetch from one
 * another. What they hold is for the models that are made of this.
 */
export class SetChange<Member extends SetMember, State extends SetState<Member>> {
  readonly members: readonly string[];
  readonly stages: readonly number[];
  readonly #sets: readonly ReplicaSet[];
  readonly #rules: SetRules;
  readonly #merge: (own: Member, source: Member) => Partial<Member>;

  /** @param merge what a member has of its own content when it has fetched that of another one. */
  constructor(
    sets: readonly string[],
    rules: SetRules,
    merge: (own: Member, source: Member) => Partial<Member>,
  ) {
    this.#sets = sets.map((letters) => [...letters]);
    this.members = [...new Set(sets.join(''))].sort();
    this.stages = Array.from({ length: 2 * sets.length - 1 }, (_, stage) => stage);
    this.#rules = rules;
    this.#merge = merge;
  }

  /** Members go on, and fetch. */
  steps(state: State): readonly Step<State>[] {
    return this.members.flatMap((_, index) => [...this.#advance(state, index), ...this.#fetch(state, index)]);
  }

  at({ holders }: State, index: number): Member {
    const member = holders[index];
    if (member === undefined) throw new RangeError(`there is no member ${index}`);
    return member;
  }

  with(state: State, at: number, change: Partial<Member>): State {
    const holders = state.holders.map((holder, index) => (index === at ? { ...holder, ...change } : holder));
    return { ...state, holders };
  }

  /** Holders that serve a request that was computed at a stage. */
  serving(state: State, stage: number): number[] {
    const asked = this.configuration(stage);
    const indexes = this.members.map((_, index) => index);
    return indexes.filter((index) => {
      const own = this.configuration(this.at(state, index).stage);
      const isAsked = asked.some((set) => set.includes(this.members[index] ?? ''));
      return isAsked && (!this.#rules.refusesOthers || sameConfiguration(own, asked));
    });
  }

  configuration(stage: number): Configuration {
    return changing(this.#setAt(stage >> 1), this.#setAt((stage + 1) >> 1));
  }

  namesOf(state: State, isMeant: (holder: Member) => boolean): ReadonlySet<string> {
    return new Set(this.members.filter((_, index) => isMeant(this.at(state, index))));
  }

  /** The chain shows a change at any time; the rule says when it is over. */
  #advance(state: State, index: number): Step<State>[] {
    const { stage } = this.at(state, index);
    if (stage === this.stages.length - 1 || (stage % 2 === 1 && !this.#mayServe(state, stage >> 1)))
      return [];
    const name = `${this.members[index]} goes to stage ${stage + 1}`;
    return [{ name, next: this.with(state, index, { stage: stage + 1 } as Partial<Member>) }];
  }

  #mayServe(state: State, change: number): boolean {
    if (!this.#rules.waitsForComplete) return true;
    const complete = this.namesOf(state, (holder) => this.#isComplete(holder, change));
    return isSettled(this.#setAt(change + 1), complete);
  }

  #isComplete({ fetched }: Member, change: number): boolean {
    const from = (_: string, index: number) => ((fetched[change] ?? 0) & (1 << index)) !== 0;
    return isComplete(this.#setAt(change), new Set(this.members.filter(from)));
  }

  /** A member of the new set fetches from one of the old set, its own copy included. */
  #fetch(state: State, index: number): Step<State>[] {
    const holder = this.at(state, index);
    const change = holder.stage >> 1;
    const name = this.members[index] ?? '';
    if (holder.stage % 2 === 0 || !this.#setAt(change + 1).includes(name)) return [];
    if (this.#isComplete(holder, change)) return [];
    return this.#setAt(change).flatMap((source) => {
      const at = this.members.indexOf(source);
      const from = this.at(state, at);
      const isAsked = ((holder.fetched[change] ?? 0) & (1 << at)) !== 0;
      if (isAsked || (this.#rules.fetchesAfterAdoption && from.stage < holder.stage)) return [];
      const fetched = holder.fetched.map((mask, each) => (each === change ? mask | (1 << at) : mask));
      // The compiler does not know that a part of SetMember is one of each kind of member.
      const next = this.with(state, index, { ...this.#merge(holder, from), fetched } as Partial<Member>);
      return [{ name: `${name} fetches from ${source}`, next }];
    });
  }

  #setAt(index: number): ReplicaSet {
    return this.#sets[index] ?? [];
  }
}
