import { describe, expect, it } from 'vitest';
import { AccountId, BlockHash, InstanceId, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { OwnAttestation } from '../../../src/keyserver/own-attestation.ts';
import { ReplayCache } from '../../../src/keyserver/replay-cache.ts';

describe('the replay cache', () => {
  it('shares an unfinished answer, and removes an answer when its time is over', async () => {
    const cache = new ReplayCache<number>({ ttlMs: 10, maxAnswers: 10 });
    let made = 0;
    const make = async () => ++made;
    expect(await Promise.all([cache.share('a', 0, make), cache.share('a', 9, make)])).toEqual([1, 1]);
    expect(await cache.share('a', 10, make)).toBe(2);
    expect(await cache.share('b', 10, make)).toBe(3);
  });

  it('does not keep failures', async () => {
    const cache = new ReplayCache<number>({ ttlMs: 10, maxAnswers: 10 });
    await expect(cache.share('a', 0, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await cache.share('a', 1, async () => 7)).toBe(7);
  });

  it('does not remove a newer answer after a late failure', async () => {
    const cache = new ReplayCache<number>({ ttlMs: 10, maxAnswers: 10 });
    let fail: (reason: Error) => void = () => undefined;
    const first = cache.share('a', 0, () => new Promise<number>((_, reject) => (fail = reject)));
    expect(await cache.share('a', 20, async () => 2)).toBe(2);
    fail(new Error('late'));
    await expect(first).rejects.toThrow('late');
    expect(await cache.share('a', 21, async () => 3)).toBe(2);
  });

  it('is bounded: the oldest answers are removed first', async () => {
    const cache = new ReplayCache<number>({ ttlMs: 1000, maxAnswers: 2 });
    for (const [index, name] of ['a', 'b', 'c'].entries()) await cache.share(name, index, async () => index);
    const again = async () => 9;
    expect(await cache.share('c', 3, again)).toBe(2);
    expect(await cache.share('b', 3, again)).toBe(1);
    expect(await cache.share('a', 3, again)).toBe(9);
  });
});

/** How a quote under way ends. */
interface QuoteUnderWay {
  readonly resolve: (quote: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

describe('the own attestation', () => {
  const filled = (length: number) => new Uint8Array(length).fill(1);
  const identity = {
    server: AccountId.of(filled(32)),
    x25519PublicKey: X25519PublicKey.of(filled(32)),
    instanceId: InstanceId.of(filled(16)),
  };

  it('is made once for simultaneous requests, and again after a failure', async () => {
    let made = 0;
    let broken = true;
    const quotes = {
      quote: async () => {
        made++;
        if (broken) throw new ProblemError('QUOTE_SOURCE_UNAVAILABLE', 'not a TD');
        return Uint8Array.of(made);
      },
    };
    const finalized = () => ({ number: 1, hash: BlockHash.of(filled(32)) });
    const own = new OwnAttestation({ identity, quotes, finalized, intervalMs: 1000 });
    const failures = await Promise.allSettled([own.get(0), own.get(0), own.get(0)]);
    expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(made).toBe(1);
    broken = false;
    const both = await Promise.all([own.get(1), own.get(2)]);
    expect(both.map(({ quote }) => quote[0])).toEqual([2, 2]);
    expect((await own.get(1001)).quote[0]).toBe(3);
    // A clock that was set back must not keep an old attestation for long.
    expect((await own.get(5)).quote[0]).toBe(4);
  });

  it('is not made again when an older one fails late', async () => {
    const quotes: QuoteUnderWay[] = [];
    const source = {
      quote: () => new Promise<Uint8Array>((resolve, reject) => quotes.push({ resolve, reject })),
    };
    const finalized = () => ({ number: 1, hash: BlockHash.of(filled(32)) });
    const own = new OwnAttestation({ identity, quotes: source, finalized, intervalMs: 1000 });
    const first = own.get(0);
    const second = own.get(1000);
    quotes[0]?.reject(new ProblemError('QUOTE_SOURCE_UNAVAILABLE', 'not a TD'));
    await expect(first).rejects.toThrow('not a TD');
    quotes[1]?.resolve(Uint8Array.of(7));
    expect((await second).quote[0]).toBe(7);
    await own.get(1500);
    expect(quotes).toHaveLength(2);
  });
});
