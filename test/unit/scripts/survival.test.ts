import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lossAlone, lossInGroup, SurvivalModel, type World } from '../../../scripts/survival-model.ts';
import { page } from '../../../scripts/survival-page.ts';
import { plotOf } from '../../../scripts/survival-plot.ts';

const DOWN_S = 60;
const HEAL_S = 90;
const run = (world: Partial<World>, years: number, seed = 7) =>
  new SurvivalModel({ nodes: 20, downS: DOWN_S, healS: HEAL_S, crashesPerYear: 0, ...world }, seed).run(
    years,
  );

describe('the model of survival', () => {
  it.each([
    [20, 8],
    [60, 20],
    [6, 4],
    [5, 3],
  ])('%i nodes, of which %i fail in one moment: as many stores are lost as counting says', (nodes, group) => {
    const { lost, restarts } = run({ nodes, group: { nodes: group, failuresPerYear: 52 } }, 20);
    const exact = lossInGroup(nodes, group);
    // Five times the standard deviation of what stays random, where groups share their fate.
    const spread = 5 * Math.sqrt((exact * (1 - exact) * group) / restarts);
    expect(Math.abs(lost / restarts - exact)).toBeLessThanOrEqual(spread);
  });

  it('as many machines as the page says may fail in one moment, and one more may not', () => {
    for (const [nodes, together] of [
      [4, 2],
      [5, 2],
      [6, 3],
      [50, 3],
    ] as const) {
      expect(lossInGroup(nodes, together)).toBe(0);
      expect(lossInGroup(nodes, together + 1)).toBeGreaterThan(0);
      expect(run({ nodes, group: { nodes: together, failuresPerYear: 12 } }, 10).lost).toBe(0);
    }
  });

  it('crashes of single nodes: the bound is not exceeded, and near for rare crashes', () => {
    const world = { nodes: 30, downS: 300, healS: 1_500, crashesPerYear: 800 };
    const { lost, restarts } = new SurvivalModel(world, 3).run(6);
    const bound = lossAlone(world);
    expect(lost / restarts).toBeLessThanOrEqual(bound * 1.3);
    expect(lost / restarts).toBeGreaterThanOrEqual(bound * 0.4);
  });

  it('a roll that waits until slots are healed loses nothing; one that does not wait loses stores', () => {
    const roll = (stepS: number) => run({ nodes: 10, rolls: { perYear: 50, stepS } }, 4);
    expect(roll(DOWN_S + HEAL_S).lost).toBe(0);
    expect(roll(1).lost).toBeGreaterThan(0);
  });

  it('a blackout loses every store', () => {
    const { lost, restarts } = run({ group: { nodes: 20, failuresPerYear: 10 } }, 5);
    expect(restarts).toBeGreaterThan(0);
    expect(lost).toBe(restarts);
  });

  it('a seed repeats, and a network of one node has no answer', () => {
    const world = { crashesPerYear: 5_000 };
    expect(run(world, 1)).toEqual(run(world, 1));
    expect(run(world, 1)).not.toEqual(run(world, 1, 8));
    expect(() => run({ nodes: 1 }, 1)).toThrow(RangeError);
    expect(() => lossInGroup(1, 1)).toThrow(RangeError);
  });
});

it('docs/survival.md and its figure are what `npm run survival` makes', { timeout: 240_000 }, () => {
  const committed = (name: string): string =>
    readFileSync(join(import.meta.dirname, '../../../docs', name), 'utf8');
  expect(committed('survival.svg')).toBe(plotOf());
  expect(committed('survival.md')).toBe(page());
});
