import { describe, expect, it } from 'vitest';
import {
  bounded,
  exploreNewRules,
  findViolation,
  presentFaults,
  type Scenario,
  singleRules,
} from './scenarios.ts';

const LONG = { timeout: 300_000 };
const MAX_STATES = 400_000;
const isSmall = ({ isLarge }: Scenario): boolean => isLarge !== true;

describe('the rules in force, explored by the model', () => {
  it.each(presentFaults.filter(isSmall))('$name', LONG, (scenario) => {
    const { trace } = findViolation(scenario, MAX_STATES);
    expect(trace?.at(-1)).toContain(scenario.finds);
  });
});

describe('the proposed rules with one rule switched off', () => {
  it.each(singleRules.filter(isSmall))('$name', LONG, (scenario) => {
    const { trace } = findViolation(scenario, MAX_STATES);
    expect(trace?.at(-1)).toContain(scenario.finds);
  });
});

describe('all proposed rules', () => {
  it.each(bounded.small)('break no invariant: %j', LONG, (bounds) => {
    const { trace, isExhausted } = exploreNewRules(bounds, MAX_STATES);
    expect(trace).toBeUndefined();
    expect(isExhausted).toBe(true);
  });
});
