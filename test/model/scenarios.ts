import { type Exploration, explore, startAfter } from './explorer.ts';
import { NetworkModel } from './network-model.ts';
import { formerRules, newRules, type Rules } from './rules.ts';
import type { Bounds } from './world.ts';

/** First words of a violation. */
export type Violation =
  | 'TWO WRITERS'
  | 'ROLLED BACK'
  | 'ROLLED BACK later'
  | 'LOCKED OUT'
  | 'FALSE FENCE'
  | 'ERASED';

/** Where an exploration begins, and what may happen there. */
export interface Setting {
  readonly bounds: Bounds;
  /** Steps that were taken before; none when omitted. */
  readonly after?: readonly string[];
  /** Violations that are known not to hold there, with the reason in the threat model. */
  readonly except?: Violation;
}

/** A setting with a name for people. */
export interface NamedSetting extends Setting {
  readonly name: string;
}

/** Rules and bounds under which the model must find a violation. */
export interface Scenario extends NamedSetting {
  readonly rules: Rules;
  readonly finds: Violation;
  /** Explored by `npm run model` only. */
  readonly isLarge?: true;
}

const none: Bounds = {
  servers: 3,
  slots: 3,
  threshold: 2,
  boots: 2,
  writes: 1,
  generations: 0,
  restarts: 0,
  restores: 1,
  delays: 0,
  accepts: 0,
  rotations: 0,
  thefts: 0,
  losesAnswers: false,
  clones: true,
  splits: false,
  lists: false,
  lies: false,
};

const without = (rule: keyof Rules): Rules => ({ ...newRules, [rule]: false });

/** A copy of A's disk runs as B and has its grants. */
const copyBoots = [
  'host puts all of the copy into B',
  'B boots as 2 by generation 0',
  'B gets a grant of s0',
  'B gets a grant of s1',
];
/** It holds at two servers. */
const copyHolds = [
  ...copyBoots,
  'B reserves 2 at s0',
  'B reserves 2 at s1',
  'B shows 2 at s0',
  'B shows 2 at s1',
  'B writes its boot record',
];
/** A is one step from the change of its store key, and its disk was copied. */
const beforeKeyChange = [
  'A begins to change its store key',
  'A enrols at s0 for generation 1',
  'A enrols at s1 for generation 1',
  'A enrols at s2 for generation 1',
  'A lists its lineage as former',
  'A writes both generations',
  'host copies the disk of A',
  'A checks s0',
  'A checks s1',
];
/** The store key was changed, and the holder has written under the new one. */
const afterKeyChange = [
  ...beforeKeyChange,
  'A changes the store key',
  'A writes its boot record under the new key',
];
const slotsLost = ['host copies the disk of A', ...copyBoots, 's1 restarts', 's2 restarts'];

/** Events that the rules before lineages allow, although the threat model promised the opposite. */
export const formerFaults: readonly Scenario[] = [
  {
    name: 'P1: the older instance enrols again where the newer one erased its keys',
    rules: { ...formerRules, singleMarkFences: true },
    bounds: { ...none, generations: 1 },
    finds: 'TWO WRITERS',
  },
  {
    name: 'P2: an old disk with its old keyslot file opens by the old generation',
    rules: { ...formerRules, comparesTwice: true },
    bounds: { ...none, writes: 2, generations: 1, clones: false },
    finds: 'ROLLED BACK',
    isLarge: true,
  },
  {
    name: 'P4: two instances reach different servers',
    rules: formerRules,
    bounds: none,
    finds: 'TWO WRITERS',
  },
];

/** What each rule is for: with it switched off the model finds a violation. */
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
    after: ['host copies the disk of A', ...copyHolds],
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
    bounds: { ...none, generations: 1, clones: false, splits: true },
    after: ['host copies the disk of A', 'A writes', 'A checks s0', 'A checks s1'],
    finds: 'ROLLED BACK',
  },
  {
    name: 'M5: heads ordered by incarnation',
    rules: without('headsByIncarnation'),
    bounds: { ...none, boots: 3 },
    finds: 'LOCKED OUT',
  },
  {
    name: 'M5 again: the content of a head is compared only with a store of the same incarnation',
    rules: without('comparesOwnOnly'),
    bounds: { ...none, boots: 3 },
    finds: 'LOCKED OUT',
  },
  {
    name: 'M6: conditional forget',
    rules: without('conditionalForget'),
    bounds: { ...none, writes: 0, generations: 1 },
    finds: 'ERASED',
  },
  {
    name: 'M7: a boot holds before it makes a generation',
    rules: without('holdsFirst'),
    bounds: { ...none, generations: 1 },
    after: [
      'host copies the disk of A',
      'A writes',
      ...copyBoots,
      'B reserves 2 at s0',
      'B reserves 2 at s1',
    ],
    finds: 'ERASED',
  },
  {
    name: 'generations of the keyslot file are never forgotten',
    rules: without('keepsOwnSlots'),
    bounds: { ...none, writes: 0, generations: 1, clones: false, splits: true, lists: true },
    finds: 'ERASED',
  },
  {
    name: 'new slots of a boot that lost its own are linked without a mark',
    rules: without('linksUnmarked'),
    bounds: { ...none, boots: 3, writes: 0, generations: 2, restarts: 2 },
    after: [
      ...slotsLost,
      'A enrols at s0 for generation 1',
      'A enrols at s1 for generation 1',
      'A commits a generation',
      'A ends',
      'A boots as 3 by generation 1',
      'A gets a grant of s0',
      'B has lost its slots',
    ],
    finds: 'FALSE FENCE',
  },
  {
    name: 'a lineage is closed only by its newest instance',
    rules: without('conditionalClose'),
    bounds: { ...none, generations: 1, rotations: 1 },
    after: [...beforeKeyChange, ...copyHolds],
    finds: 'TWO WRITERS',
  },
];

/** A thief of a former store key, who has no machine, shows a newer mark of its lineage. */
export const theft: Scenario = {
  name: 'a thief of a former store key',
  rules: newRules,
  bounds: { ...none, boots: 1, writes: 1, generations: 1, rotations: 1, restores: 0, thefts: 1 },
  after: afterKeyChange.filter((step) => !step.startsWith('host')),
  finds: 'FALSE FENCE',
};

/** Where the repair is explored: under a former lineage only marks count that came with the key of a slot. */
export const repaired: readonly NamedSetting[] = [
  { name: 'the thief alone', bounds: theft.bounds, after: theft.after ?? [] },
  {
    name: 'the thief, and a copy from before the change',
    bounds: { ...none, generations: 1, rotations: 1, thefts: 1 },
    after: afterKeyChange,
  },
  {
    name: 'the thief, and a copy that holds while the store key changes',
    bounds: { ...none, generations: 1, rotations: 1, thefts: 1 },
    after: [...beforeKeyChange, ...copyHolds],
  },
];

/** The rules in force with that repair, which is not in the code. */
export const repairedRules: Rules = { ...newRules, formerBySlot: true };

/** Settings in which the rules are explored; `small` ones in every run of the tests. */
export const bounded: Readonly<Record<'small' | 'full', readonly NamedSetting[]>> = {
  small: [
    { name: 'a copy, lost answers', bounds: { ...none, losesAnswers: true } },
    { name: 'a copy, a new generation', bounds: { ...none, writes: 0, generations: 1 } },
    { name: 'a copy, a liar', bounds: { ...none, writes: 0, lies: true }, except: 'FALSE FENCE' },
    { name: 'a copy, an older store that is accepted', bounds: { ...none, accepts: 1 } },
    {
      name: 'a copy holds while the store key changes',
      bounds: { ...none, generations: 1, rotations: 1 },
      after: [...beforeKeyChange, ...copyHolds],
    },
  ],
  full: [
    { name: 'three boots', bounds: { ...none, boots: 3 } },
    { name: 'three boots, late requests', bounds: { ...none, boots: 3, writes: 0, delays: 2 } },
    { name: 'three boots, lost answers', bounds: { ...none, boots: 3, writes: 2, losesAnswers: true } },
    { name: 'three boots, an accepted store', bounds: { ...none, boots: 3, accepts: 1 } },
    { name: 'a liar and writes', bounds: { ...none, lies: true }, except: 'FALSE FENCE' },
    {
      name: 'a liar, three boots of one machine',
      bounds: { ...none, boots: 3, writes: 0, lies: true, clones: false },
      except: 'FALSE FENCE',
    },
    {
      name: 'store and keyslot file put back apart',
      bounds: { ...none, generations: 1, clones: false, splits: true },
    },
    {
      name: 'the list of older generations, a copy',
      bounds: { ...none, writes: 0, generations: 1, lists: true },
    },
    {
      name: 'the list of older generations, parts put back apart',
      bounds: { ...none, writes: 0, generations: 1, clones: false, splits: true, lists: true },
    },
    { name: 'a change of the store key', bounds: { ...none, writes: 0, generations: 1, rotations: 1 } },
    {
      name: 'a change of the store key, three boots',
      bounds: { ...none, boots: 3, writes: 0, generations: 1, rotations: 1 },
      after: beforeKeyChange,
    },
    {
      name: 'a restart, three boots of one machine',
      bounds: { ...none, boots: 3, writes: 0, generations: 1, restarts: 1, clones: false },
    },
    {
      name: 'slots lost before a boot holds',
      bounds: { ...none, writes: 0, generations: 2, restarts: 2 },
      after: slotsLost,
    },
    { name: 'more servers than slots', bounds: { ...none, servers: 4, writes: 0, generations: 1 } },
    {
      name: 'a restart, a copy',
      bounds: { ...none, generations: 1, restarts: 1 },
      after: [
        'host copies the disk of A',
        'host puts all of the copy into B',
        'B boots as 2 by generation 0',
      ],
      // A server that showed the mark of a boot restarts before t servers show it: the former holder goes on there.
      except: 'ROLLED BACK later',
    },
    { name: 'five servers', bounds: { ...none, servers: 5, slots: 5, threshold: 3 } },
    {
      name: 'two restores of parts, three boots',
      bounds: { ...none, boots: 3, generations: 1, restores: 2, splits: true },
    },
    {
      name: 'a restart, lost answers, parts put back apart',
      bounds: { ...none, writes: 2, generations: 1, restarts: 1, splits: true, losesAnswers: true },
      except: 'ROLLED BACK later',
    },
    {
      name: 'two generations and all of it',
      bounds: {
        ...none,
        boots: 3,
        writes: 2,
        generations: 2,
        restarts: 1,
        restores: 2,
        splits: true,
        lists: true,
      },
      except: 'ROLLED BACK later',
    },
  ],
};

/** Explores a scenario until it finds its violation. */
export const findViolation = (
  { rules, bounds, after = [], finds }: Scenario,
  maxStates: number,
): Exploration =>
  explore(startAfter(new NetworkModel(rules, bounds), after), {
    maxStates,
    isSought: (violation) => violation.startsWith(finds),
  });

/** Explores the rules in force, or others, for any violation. */
export const exploreRules = (
  { bounds, after = [], except }: Setting,
  maxStates: number,
  rules = newRules,
): Exploration =>
  explore(startAfter(new NetworkModel(rules, bounds), after), {
    maxStates,
    isSought: (violation) => except === undefined || !violation.startsWith(except),
  });
