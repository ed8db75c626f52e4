import { type Configuration, isRead, isWritten } from '../../src/ring/placement/configuration.ts';
import type { Model, Step } from './explorer.ts';
import { SetChange, type SetMember, type SetRules, type SetState } from './set-change.ts';

/** What is switched off to see what it is for. */
export interface RingRules extends SetRules {
  /** A write needs its quorum in both sets of a change, not in their union. */
  readonly writesToBoth: boolean;
}

export const allRingRules: RingRules = {
  writesToBoth: true,
  waitsForComplete: true,
  fetchesAfterAdoption: true,
  refusesOthers: true,
};

interface Holder extends SetMember {
  /** Whether it has the write of this run. */
  readonly has: boolean;
  readonly acknowledged: boolean;
  /** Whether it answered the reader without the write. */
  readonly answered: boolean;
}

interface RingState extends SetState<Holder> {
  /** Stages that writer and reader work by; -1 before they begin. */
  readonly writer: number;
  readonly reader: number;
}

const START: Holder = { stage: 0, has: false, acknowledged: false, answered: false, fetched: [0, 0] };

/**
 * One record while its set changes twice, S0 → S1 → S2, with one write and one read. Members follow the chain as late
 * as they like; writer and reader may have any view, older or newer than the holders. A reader that gets its quorum
 * after the write was acknowledged, and does not meet it, is the violation.
 */
export class RingChangeModel implements Model<RingState> {
  readonly initial: RingState;
  readonly #change: SetChange<Holder, RingState>;
  readonly #rules: RingRules;

  constructor(sets: readonly [string, string, string], rules: RingRules) {
    this.#change = new SetChange(sets, rules, (own, source) => ({ has: own.has || source.has }));
    this.#rules = rules;
    this.initial = { holders: this.#change.members.map(() => START), writer: -1, reader: -1 };
  }

  encode({ holders, writer, reader }: RingState): string {
    const texts = holders.map(
      ({ stage, has, acknowledged, answered, fetched }) =>
        `${stage}${Number(has)}${Number(acknowledged)}${Number(answered)}${fetched}`,
    );
    return `${texts}|${writer}|${reader}`;
  }

  steps(state: RingState): readonly Step<RingState>[] {
    const ofUser = this.#isAcknowledged(state) ? this.#read(state) : this.#write(state);
    return [...this.#change.steps(state), ...ofUser];
  }

  #write(state: RingState): Step<RingState>[] {
    const change = this.#change;
    if (state.writer < 0)
      return change.stages.map((writer) => ({ name: `writer at ${writer}`, next: { ...state, writer } }));
    return change
      .serving(state, state.writer)
      .filter((index) => !change.at(state, index).acknowledged)
      .map((index) => ({
        name: `${change.members[index]} stores the write`,
        next: change.with(state, index, { has: true, acknowledged: true }),
      }));
  }

  #isAcknowledged(state: RingState): boolean {
    if (state.writer < 0) return false;
    const configuration = this.#change.configuration(state.writer);
    const union: Configuration = [[...new Set(configuration.flat())]];
    const acknowledged = this.#change.namesOf(state, (holder) => holder.acknowledged);
    return isWritten(this.#rules.writesToBoth ? configuration : union, acknowledged);
  }

  #read(state: RingState): Step<RingState>[] {
    const change = this.#change;
    if (state.reader < 0)
      return change.stages.map((reader) => ({ name: `reader at ${reader}`, next: { ...state, reader } }));
    return change
      .serving(state, state.reader)
      .filter((index) => !change.at(state, index).answered && !change.at(state, index).has)
      .map((index) => {
        const next = change.with(state, index, { answered: true });
        const answered = change.namesOf(next, (holder) => holder.answered);
        const isMissed = isRead(change.configuration(state.reader), answered);
        const violation = isMissed ? 'STALE READ of an acknowledged write' : undefined;
        return { name: `${change.members[index]} answers the reader without it`, next, violation };
      });
  }
}
