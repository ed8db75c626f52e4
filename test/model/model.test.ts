import { describe, expect, it } from 'vitest';
import {
  bounded,
  exploreRules,
  findViolation,
  formerFaults,
  repaired,
  repairedRules,
  type Scenario,
  singleRules,
  theft,
} from './scenarios.ts';

const LONG = { timeout: 300_000 };
const MAX_STATES = 400_000;
const isSmall = ({ isLarge }: Scenario): boolean => isLarge !== true;

describe('the rules before lineages, explored by the model', () => {
  it.each(formerFaults.filter(isSmall))('$name', LONG, (scenario) => {
    const { trace } = findViolation(scenario, MAX_STATES);
    expect(trace?.at(-1)).toContain(scenario.finds);
  });
});

describe('the rules in force with one of them switched off', () => {
  it.each(singleRules.filter(isSmall))('$name', LONG, (scenario) => {
    const { trace } = findViolation(scenario, MAX_STATES);
    expect(trace?.at(-1)).toContain(scenario.finds);
  });
});

describe('a thief of a former store key, who has no machine', () => {
  it('fences the holder under the rules in force: a known limit', LONG, () => {
    expect(findViolation(theft, MAX_STATES).trace?.at(-1)).toContain('FALSE FENCE');
  });

  it('fences nobody where only marks count that came with the key of a slot', LONG, () => {
    const [alone = expect.fail()] = repaired;
    const { trace, isExhausted } = exploreRules(alone, MAX_STATES, repairedRules);
    expect(trace).toBeUndefined();
    expect(isExhausted).toBe(true);
  });
});

describe('all rules in force', () => {
  it.each(bounded.small)('break no invariant: $name', LONG, (setting) => {
    const { trace, isExhausted } = exploreRules(setting, MAX_STATES);
    expect(trace).toBeUndefined();
    expect(isExhausted).toBe(true);
  });
});
