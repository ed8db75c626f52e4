import { describe, expect, it } from 'vitest';
import type { ChainSnapshot, ServerRecord } from '../../../../src/chain/chain-view.ts';
import { timeFindings } from '../../../../src/cli/doctor/time.ts';
import { FlooredClock } from '../../../../src/time/clock.ts';
import { serverRecord } from '../../../support/chain-fixtures.ts';
import { memoryChain } from '../../../support/memory-chain.ts';

const NOW_MS = 1_800_000_000_000;
const freshness = { chainHeadMaxAgeMs: 600_000, clockToleranceMs: 120_000 };

/** Levels by check: own clock, time of the newest block, and the times that servers show. */
async function levelsOf(options: {
  readonly nowMs?: number;
  readonly blockMs?: number | undefined;
  readonly peersMs?: readonly (number | 'silent')[];
}) {
  const { nowMs = NOW_MS, peersMs = [] } = options;
  const timestampMs = 'blockMs' in options ? options.blockMs : NOW_MS - 6_000;
  const servers: ServerRecord[] = peersMs.map((_, index) => serverRecord(index));
  const chain = memoryChain({ servers, timestampMs });
  const { findings } = await timeFindings(
    {
      chain,
      clock: new FlooredClock({ nowMs: () => nowMs, sleep: async () => undefined }),
      fetch: async (url) => {
        const index = servers.findIndex(({ endpoint }) => url.includes(endpoint));
        const shown = peersMs[index];
        if (shown === undefined || shown === 'silent') throw new Error('no route');
        return new Response('', { headers: { date: new Date(shown).toUTCString() } });
      },
    },
    // The other members of the section are not asked.
    { freshness } as Parameters<typeof timeFindings>[1],
  );
  for (const { level, advice, check } of findings) if (level === 'wrong') expect(advice, check).toBeTruthy();
  return Object.fromEntries(findings.map(({ check, level }) => [check, level]));
}

describe('clock and chain', () => {
  const good = { chain: 'good', clock: 'good', peers: 'good', 'chain-age': 'good' };

  it('that agree with the servers are good', async () => {
    expect(await levelsOf({ peersMs: [NOW_MS, NOW_MS, NOW_MS - 1_000] })).toEqual(good);
  });

  it('a clock that is ahead is wrong, and no old chain', async () => {
    const hour = NOW_MS + 3_600_000;
    const levels = await levelsOf({ nowMs: hour, peersMs: [NOW_MS, NOW_MS, NOW_MS] });
    expect(levels).toEqual({ ...good, clock: 'wrong', peers: 'wrong' });
  });

  it('a clock that is behind is wrong', async () => {
    const levels = await levelsOf({ nowMs: NOW_MS - 3_600_000, peersMs: [NOW_MS] });
    expect(levels).toMatchObject({ clock: 'wrong', peers: 'wrong' });
  });

  it('a chain that stands still is wrong, and the clock is not where servers agree with it', async () => {
    const levels = await levelsOf({ blockMs: NOW_MS - 3_600_000, peersMs: [NOW_MS, NOW_MS] });
    expect(levels).toMatchObject({ peers: 'good', 'chain-age': 'wrong' });
    const slow = await levelsOf({ blockMs: NOW_MS - 400_000, peersMs: [NOW_MS, NOW_MS] });
    expect(slow).toMatchObject({ 'chain-age': 'warning' });
  });

  it('one server that lies about the time changes nothing; none that answers is a warning', async () => {
    expect(await levelsOf({ peersMs: [NOW_MS, 0, NOW_MS] })).toEqual(good);
    expect(await levelsOf({ peersMs: ['silent', NOW_MS] })).toEqual(good);
    expect(await levelsOf({ peersMs: ['silent'] })).toMatchObject({ peers: 'warning' });
    expect(await levelsOf({})).toMatchObject({ peers: 'warning' });
  });

  it('what the chain shows as an address and is none is not asked', async () => {
    const hostile = ['127.0.0.1/admin?x', 'user:word@127.0.0.1:1', 'x y', '', '127.0.0.1:1/#'];
    const servers = [...hostile, '127.0.0.1:3001'].map((endpoint, n) => serverRecord(n, { endpoint }));
    const asked: string[] = [];
    await timeFindings(
      {
        chain: memoryChain({ servers, timestampMs: NOW_MS }),
        clock: new FlooredClock({ nowMs: () => NOW_MS, sleep: async () => undefined }),
        fetch: async (url) => {
          asked.push(url);
          throw new Error('no route');
        },
      },
      { freshness } as Parameters<typeof timeFindings>[1],
    );
    expect(asked).toEqual(['http://127.0.0.1:3001/healthz']);
  });

  it('a chain without time is a warning, and one that cannot be read is wrong', async () => {
    const levels = await levelsOf({ blockMs: undefined, peersMs: [NOW_MS] });
    expect(levels).toMatchObject({ clock: 'warning', 'chain-age': 'warning' });
    const chain = {
      ...memoryChain(),
      snapshot: (): Promise<ChainSnapshot> => Promise.reject(new Error('closed')),
    };
    const clock = new FlooredClock({ nowMs: () => NOW_MS, sleep: async () => undefined });
    const parts = { chain, clock } as Parameters<typeof timeFindings>[0];
    const { findings } = await timeFindings(parts, { freshness } as Parameters<typeof timeFindings>[1]);
    expect(findings).toMatchObject([{ check: 'chain', level: 'wrong' }]);
  });
});
