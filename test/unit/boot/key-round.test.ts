import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type KeyRound,
  type RoundResult,
  type RoundTarget,
  runKeyRound,
} from '../../../src/boot/obtain/key-round.ts';
import { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { AccountId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import type { QuoteSource } from '../../../src/quote-source/quote-source.ts';
import { seededDice } from '../../support/disk-dice.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const net = new SimulatedNetwork(301);
const dice = seededDice(5);
const account = AccountId.of(dice.bytes(32));
let quotesMade = 0;

beforeAll(async () => net.form(6));
afterAll(async () => net.close());
beforeEach(() => {
  net.world.wire.misbehaviour.clear();
  quotesMade = 0;
});

const client = new PeerClient({
  transport: net.world.wire.transportFrom('tester'),
  clock: net.world.clock,
  random: (length) => dice.bytes(length),
  deadlineMs: 2_000,
});

const targets = (count = 5): RoundTarget[] =>
  [...net.records.values()].slice(0, count).map((peer) => ({ peer, slotId: SlotId.of(dice.bytes(16)) }));

/** Runs a round and notes when what came, in virtual milliseconds from its start. */
async function run(
  change: Partial<KeyRound> = {},
  quotes: QuoteSource = net.nodes[0]?.quotes ?? { quote: () => Promise.reject(new Error('no node')) },
) {
  const startMs = net.world.clock.nowMs();
  const results: { server: string; result: RoundResult; atMs: number }[] = [];
  const counted: QuoteSource = {
    quote: (reportData) => {
      quotesMade++;
      return quotes.quote(reportData);
    },
  };
  const round = runKeyRound(
    { client, quotes: counted, clock: net.world.clock },
    {
      account,
      intent: 'create',
      targets: targets(),
      quorum: 3,
      signal: new AbortController().signal,
      onResult: ({ peer }, result) =>
        results.push({
          server: encodeSs58(peer.account),
          result,
          atMs: net.world.clock.nowMs() - startMs,
        }),
      ...change,
    },
  );
  await net.world.clock.until(round);
  return { results, tookMs: net.world.clock.nowMs() - startMs };
}

const misbehave = (how: 'hang' | 'slow', count: number): void => {
  for (const { endpoint } of [...net.records.values()].slice(0, count)) {
    net.world.wire.misbehaviour.set(endpoint, how);
  }
};

describe('a round of key requests', () => {
  it('asks five servers with one quote', async () => {
    const { results } = await run();
    expect(results.filter(({ result }) => result.ok)).toHaveLength(5);
    expect(quotesMade).toBe(1);
  });

  it('is not delayed by hanging servers', async () => {
    const { results: undisturbed } = await run();
    misbehave('hang', 2);
    const { results } = await run();
    const good = results.filter(({ result }) => result.ok);
    expect(good).toHaveLength(3);
    const last = Math.max(...undisturbed.map(({ atMs }) => atMs));
    // Nothing but the grace in which the quote waited for the two.
    expect(Math.max(...good.map(({ atMs }) => atMs))).toBeLessThanOrEqual(last + 60);
    expect(results.filter(({ result }) => !result.ok && result.failure.kind === 'unreachable')).toHaveLength(
      2,
    );
  });

  it('makes a separate quote for servers with late challenges', async () => {
    misbehave('slow', 1);
    const { results } = await run();
    expect(results.filter(({ result }) => result.ok)).toHaveLength(5);
    expect(quotesMade).toBe(2);
  });

  it('gives every target exactly one result', async () => {
    misbehave('hang', 1);
    const asked = targets();
    const { results } = await run({ targets: asked });
    expect(results.map(({ server }) => server).sort()).toEqual(
      asked.map(({ peer }) => encodeSs58(peer.account)).sort(),
    );
  });

  it('ends at once without a quote when no server answers', async () => {
    for (const { endpoint } of net.records.values()) net.world.wire.misbehaviour.set(endpoint, 'denies');
    const { results, tookMs } = await run();
    expect(results).toHaveLength(5);
    expect(quotesMade).toBe(0);
    expect(tookMs).toBeLessThan(200);
  });

  it('ends when the caller has enough', async () => {
    misbehave('hang', 2);
    const enough = new AbortController();
    let good = 0;
    const { tookMs } = await run({
      signal: enough.signal,
      onResult: (_target, result) => {
        if (result.ok) good++;
        if (good === 3) enough.abort();
      },
    });
    expect(tookMs).toBeLessThan(600);
  });

  it('reports that this machine could not make a quote', async () => {
    const failing = { quote: () => Promise.reject(new ProblemError('QUOTE_SOURCE_UNAVAILABLE', 'no TDX')) };
    const { results } = await run({}, failing);
    expect(results).toHaveLength(5);
    for (const { result } of results) {
      expect(result).toMatchObject({ ok: false, failure: { kind: 'unreachable' } });
      expect(!result.ok && result.failure.detail).toContain('this machine');
    }
  });
});
