import { type Exploration, explore } from './explorer.ts';
import { type Bounds, NetworkModel } from './network-model.ts';
import { newRules, presentRules, type Rules } from './rules.ts';

/** First words of a violation. */
export type Violation = 'TWO WRITERS' | 'ROLLED BACK' | 'LOCKED OUT' | 'FALSE FENCE' | 'ERASED';

/** Rules and bounds under which the model must find a violation. */
export interface Scenario {
  readonly name: string;
  readonly rules: Rules;
  readonly bounds: Bounds;
  readonly finds: Violation;
  /** Explored by `npm run model` only. */
  readonly isLarge?: true;
}

const none: Bounds = {
  boots: 2,
  writes: 1,
  generations: 0,
  restarts: 0,
  restores: 1,
  losesAnswers: false,
  clones: true,
  splits: false,
};

const without = (rule: keyof Rules): Rules => ({ ...newRules, [rule]: false });

/** Events that the present rules allow, although the threat model promised the opposite. */
export const presentFaults: readonly Scenario[] = [
  {
    name: 'P1: the older instance enrols again where the newer one erased its keys',
    rules: { ...presentRules, singleMarkFences: true },
    bounds: { ...none, generations: 1 },
    finds: 'TWO WRITERS',
  },
  {
    name: 'P2: an old disk with its old keyslot file opens by the old generation',
    rules: { ...presentRules, comparesTwice: true },
    bounds: { ...none, writes: 2, generations: 1, clones: false },
    finds: 'ROLLED BACK',
    isLarge: true,
  },
  {
    name: 'P4: two instances reach different servers',
    rules: presentRules,
    bounds: none,
    finds: 'TWO WRITERS',
  },
];

/** What each of the proposed rules is for: with it switched off the model finds a violation. */
export const singleRules: readonly Scenario[] = [
  { name: 'P4: single-mark fencing', rules: without('singleMarkFences'), bounds: none, finds: 'TWO WRITERS' },
  {
    name: 'M1: two-phase reservation',
    rules: without('reserves'),
    bounds: { ...none, boots: 3, writes: 0 },
    finds: 'FALSE FENCE',
  },
  {
    name: 'M2: lineage-status on every KEY_UNKNOWN',
    rules: without('asksOnUnknown'),
    bounds: { ...none, generations: 1, restarts: 1 },
    finds: 'TWO WRITERS',
  },
  {
    name: 'M3: second comparison of heads',
    rules: without('comparesTwice'),
    bounds: { ...none, writes: 2 },
    finds: 'ROLLED BACK',
  },
  {
    name: 'M4: linking first',
    rules: without('linkFirst'),
    bounds: { ...none, writes: 2, generations: 1, clones: false, splits: true },
    finds: 'ROLLED BACK',
    isLarge: true,
  },
  {
    name: 'M5: heads ordered by incarnation',
    rules: without('headsByIncarnation'),
    bounds: { ...none, boots: 3, writes: 2 },
    finds: 'LOCKED OUT',
  },
  {
    name: 'M6: conditional forget',
    rules: without('conditionalForget'),
    bounds: { ...none, writes: 0, generations: 1 },
    finds: 'ERASED',
  },
];

/**
 * The rules without holding before a generation is made (M7), and the bounds in which the model finds nothing without
 * it: linking a slot shows the boot's mark, so t servers of the new generation know it in any case.
 */
export const withoutHolding = {
  rules: without('holdsFirst'),
  bounds: { ...none, boots: 3, writes: 0, generations: 1, restarts: 1, clones: false },
} as const;

/** Bounds under which the proposed rules are explored; `small` ones in every run of the tests. */
export const bounded: Readonly<Record<'small' | 'full', readonly Bounds[]>> = {
  small: [
    { ...none, losesAnswers: true },
    { ...none, writes: 0, generations: 1 },
    { ...none, generations: 1, clones: false, splits: true },
  ],
  full: [
    { ...none, boots: 3 },
    { ...none, boots: 3, writes: 0, generations: 1, restarts: 1, clones: false },
    { ...none, boots: 3, writes: 2, losesAnswers: true },
    { ...none, boots: 3, writes: 1, generations: 1, restores: 2, splits: true },
    { ...none, boots: 2, writes: 2, generations: 1, restarts: 1, splits: true, losesAnswers: true },
    { ...none, boots: 3, writes: 2, generations: 2, restarts: 1, restores: 2, splits: true },
  ],
};

/** Explores a scenario until it finds its violation. */
export const findViolation = ({ rules, bounds, finds }: Scenario, maxStates: number): Exploration =>
  explore(new NetworkModel(rules, bounds), {
    maxStates,
    isSought: (violation) => violation.startsWith(finds),
  });

/** Explores the proposed rules, or others, for any violation. */
export const exploreNewRules = (bounds: Bounds, maxStates: number, rules = newRules): Exploration =>
  explore(new NetworkModel(rules, bounds), { maxStates });
