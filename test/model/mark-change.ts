import { isWritten } from '../../src/ring/placement/configuration.ts';
import type { Model, Step } from './explorer.ts';
import { SetChange, type SetMember, type SetRules, type SetState } from './set-change.ts';

/** What is switched off to see what it is for. */
export interface MarkRules extends SetRules {
  /** A member of the new set takes the marks of the members of the old set from which it fetches. */
  readonly takesMarks: boolean;
  /** A member that hears of two attempts for one mark gives it to none of them any more. */
  readonly contests: boolean;
}

export const allMarkRules: MarkRules = {
  takesMarks: true,
  contests: true,
  waitsForComplete: true,
  fetchesAfterAdoption: true,
  refusesOthers: true,
};

const attempts = ['X', 'Y'] as const;
type Attempt = (typeof attempts)[number];

interface Holder extends SetMember {
  /** Which attempt has the mark here; `?` when no attempt gets it any more. */
  readonly mark: '' | Attempt | '?';
}

/** An attempt: the stage that it works by in this round (-1 before the first), and who said that the mark is its own. */
interface Claim {
  readonly stage: number;
  readonly said: number;
  readonly end: 'open' | 'has it' | 'lost';
}

interface MarkState extends SetState<Holder> {
  readonly claims: readonly [Claim, Claim];
}

const OPEN: Claim = { stage: -1, said: 0, end: 'open' };

/**
 * One mark while the set of its holders changes, with two attempts at it, each in one or more rounds: in each round it works
 * by a later view, older or newer than those of the holders, and its answers count in this round only. X begins first.
 * Any holder may be silent for ever. Two attempts that both have the mark are the violation: the request is made twice.
 */
export class MarkChangeModel implements Model<MarkState> {
  readonly initial: MarkState;
  readonly #change: SetChange<Holder, MarkState>;

  constructor(sets: readonly string[], rules: MarkRules) {
    this.#change = new SetChange(sets, rules, (own, source) => ({
      mark: merged(own.mark, source.mark, rules),
    }));
    const start: Holder = { stage: 0, mark: '', fetched: sets.slice(1).map(() => 0) };
    this.initial = { holders: this.#change.members.map(() => start), claims: [OPEN, OPEN] };
  }

  encode({ holders, claims }: MarkState): string {
    const texts = holders.map(({ stage, mark, fetched }) => `${stage}${mark}${fetched}`);
    return `${texts}|${claims.map(({ stage, said, end }) => `${stage},${said},${end}`)}`;
  }

  steps(state: MarkState): readonly Step<MarkState>[] {
    return [...this.#change.steps(state), ...attempts.flatMap((_, at) => this.#claim(state, at))];
  }

  #claim(state: MarkState, at: number): Step<MarkState>[] {
    const claim = state.claims[at] ?? OPEN;
    if (claim.end !== 'open') return [];
    const name = attempts[at] ?? 'X';
    const rounds = this.#change.stages
      .filter((stage) => stage > claim.stage && (at === 0 || state.claims[0].stage >= 0))
      .map((stage) => ({
        name: `${name} begins a round at ${stage}`,
        next: withClaim(state, at, { ...OPEN, stage }),
      }));
    const asked = claim.stage < 0 ? [] : this.#change.serving(state, claim.stage);
    return [
      ...rounds,
      ...asked
        .filter((index) => (claim.said & (1 << index)) === 0)
        .map((index) => this.#ask(state, at, index)),
    ];
  }

  #ask(state: MarkState, at: number, index: number): Step<MarkState> {
    const change = this.#change;
    const name = attempts[at] ?? 'X';
    const claim = state.claims[at] ?? OPEN;
    const holder = change.at(state, index);
    const mark = holder.mark === '' ? name : holder.mark;
    const after = change.with(state, index, { mark });
    const step = `${change.members[index]} tells ${name} that ${mark} has it`;
    if (mark !== name) return { name: step, next: withClaim(after, at, { ...claim, said: 0, end: 'lost' }) };
    const said = claim.said | (1 << index);
    const names = new Set(change.members.filter((_, each) => (said & (1 << each)) !== 0));
    const hasIt = isWritten(change.configuration(claim.stage), names);
    const next = withClaim(after, at, hasIt ? { ...claim, said: 0, end: 'has it' } : { ...claim, said });
    const isTwice = next.claims.every(({ end }) => end === 'has it');
    return { name: step, next, violation: isTwice ? 'TWO ATTEMPTS have one mark' : undefined };
  }
}

function merged(
  own: Holder['mark'],
  source: Holder['mark'],
  { takesMarks, contests }: MarkRules,
): Holder['mark'] {
  if (!takesMarks || source === '' || own === source) return own;
  if (own === '') return source;
  return contests ? '?' : own;
}

const withClaim = (state: MarkState, at: number, claim: Claim): MarkState => ({
  ...state,
  claims: at === 0 ? [claim, state.claims[1]] : [state.claims[0], claim],
});
