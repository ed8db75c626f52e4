import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { playStorm, type StormSetting } from '../../../scripts/storm-model.ts';
import { stormPage, stormPlot } from '../../../scripts/storm-page.ts';

const storm = (change: Partial<StormSetting>) =>
  playStorm({ nodes: 1_000, servers: 5, kept: 1, cores: 1, places: 1e9, seed: 3, ...change });
const committed = (path: string): string =>
  readFileSync(new URL(`../../../docs/${path}`, import.meta.url), 'utf8');

describe('the model of a boot storm', () => {
  it('takes as long as the work of its servers does', () => {
    // Each of 5 servers verifies 1,000 quotes of locked nodes, 1 ms each; a node opens with the third of its five keys.
    const { openable, almostAllMs, requests } = storm({});
    expect(openable).toBe(1_000);
    expect(requests).toBeGreaterThan(1_000);
    expect(almostAllMs).toBeGreaterThan(600);
    expect(almostAllMs).toBeLessThan(1_100);
    expect(storm({ cores: 4 }).almostAllMs).toBeLessThan(almostAllMs / 2);
  });

  it('leaves those locked whose servers forgot, and no others', () => {
    expect(storm({ servers: 200, kept: 0 }).openable).toBe(0);
    // At least 3 of 5, each with a chance of one half.
    const { openable, openByTenth } = storm({ servers: 200, kept: 0.5 });
    expect(openable / 1_000).toBeGreaterThan(0.3);
    expect(openable / 1_000).toBeLessThan(0.7);
    expect(openByTenth.at(-1)).toBe(openable);
  });

  it('lets nobody wait beyond the places, and serves all in the end nevertheless', () => {
    const short = storm({ places: 10 });
    expect(short.waiting).toBeLessThanOrEqual(10 + 32);
    expect(short.refused).toBeGreaterThan(0);
    expect(short.openByTenth.at(-1)).toBe(1_000);
    expect(short.almostAllMs).toBeGreaterThan(storm({}).almostAllMs);
  });

  it('is the same for the same seed', () => {
    expect(storm({ places: 10 })).toEqual(storm({ places: 10 }));
    expect(storm({ places: 10 })).not.toEqual(storm({ places: 10, seed: 4 }));
  });
});

it('docs/storm.md and its figure are what `npm run storm` makes', { timeout: 120_000 }, () => {
  expect(committed('storm.md')).toBe(stormPage());
  expect(committed('storm.svg')).toBe(stormPlot());
});
