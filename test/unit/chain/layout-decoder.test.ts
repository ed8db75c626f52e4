import { describe, expect, it, vi } from 'vitest';
import type { DecoderProcess } from '../../../src/chain/decoder-process.ts';
import { LayoutDecoder } from '../../../src/chain/layout-decoder.ts';
import type { DecoderAnswer } from '../../../src/chain/runtime-layout.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { systemClock } from '../../../src/time/clock.ts';

const layout = {
  serverInfo: ['tssAccount', 'x25519PublicKey', 'endpoint', 'tdxQuote'],
  entropyTssIndex: 0,
  hasTimestamp: true,
} as const;
const good: DecoderAnswer = { kind: 'layout', layout };
const broken = new ProblemError('CHAIN_UNAVAILABLE', 'ended');

interface FakeProcess extends DecoderProcess {
  /** First byte of the metadata that it got. */
  metadata: number | undefined;
  answer(answer: DecoderAnswer): void;
  fail(): void;
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept;
    reject = refuse;
  });
  return { promise, resolve, reject };
}

/** A decoder with processes that the test controls, and a clock that does not move. */
function fake() {
  const started: FakeProcess[] = [];
  const clock = { now: 0 };
  const start = (): DecoderProcess => {
    const ended = deferred<void>();
    const answer = deferred<DecoderAnswer>();
    answer.promise.catch(() => undefined);
    const one = {
      pid: undefined,
      isRunning: true,
      metadata: undefined as number | undefined,
      decode: (metadata: Uint8Array) => {
        one.metadata = metadata[0];
        return answer.promise;
      },
      kill() {
        one.fail();
      },
      ended: ended.promise,
      answer(value: DecoderAnswer) {
        one.isRunning = false;
        answer.resolve(value);
        ended.resolve();
      },
      fail() {
        one.isRunning = false;
        answer.reject(broken);
        ended.resolve();
      },
    };
    started.push(one);
    return one;
  };
  const decoder = new LayoutDecoder({
    deadlineMs: 1000,
    clock: { nowMs: () => clock.now, sleep: systemClock.sleep },
    start,
  });
  const failures: ProblemError[] = [];
  const endpoint = () => {
    const decode = decoder.forEndpoint((error) => failures.push(error));
    return (byte: number) => decode(async () => Uint8Array.of(byte));
  };
  return { decoder, started, clock, failures, endpoint };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the decoder of a view', () => {
  it('uses a process that was started in advance, and decodes the same metadata only once', async () => {
    const { started, endpoint } = fake();
    expect(started).toHaveLength(1);
    const [a, b] = [endpoint(), endpoint()];
    const both = Promise.all([a(1), b(1)]);
    await settle();
    started[0]?.answer(good);
    expect(await both).toEqual([layout, layout]);
    expect(await b(1)).toEqual(layout);
    expect(started).toHaveLength(1);
  });

  it('remembers an unknown layout, and repeats the error without a process', async () => {
    const { started, endpoint, failures } = fake();
    const a = endpoint();
    const first = a(1);
    await settle();
    started[0]?.answer({ kind: 'shape', item: 'A.B', expected: 'x', observed: 'y' });
    const unknown = { code: 'CHAIN_SHAPE_UNKNOWN', field: 'A.B', expected: 'x', observed: 'y' };
    await expect(first).rejects.toMatchObject(unknown);
    await expect(endpoint()(1)).rejects.toMatchObject(unknown);
    expect(started).toHaveLength(1);
    expect(failures).toEqual([]);
  });

  it('makes an endpoint wait longer after each failure or change of its metadata; other endpoints do not wait', async () => {
    const { started, clock, endpoint, failures } = fake();
    const [a, b] = [endpoint(), endpoint()];
    const pausesMs: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      const read = a(round);
      await settle();
      const last = started.at(-1);
      if (round % 2 === 0) last?.fail();
      else last?.answer(good);
      await read.catch(() => undefined);
      const refusal: unknown = await a(100 + round).catch((error: unknown) => error);
      if (!(refusal instanceof ProblemError)) throw new Error('a refusal expected');
      pausesMs.push(refusal.retryAfterMs ?? 0);
      clock.now += refusal.retryAfterMs ?? 0;
    }
    expect(pausesMs).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    expect(failures).toHaveLength(5);
    const other = b(200);
    await settle();
    started.at(-1)?.answer(good);
    expect(await other).toEqual(layout);
    clock.now += 700_000;
    const again = a(201);
    await settle();
    started.at(-1)?.answer(good);
    await again;
    expect(await a(202).catch((error: unknown) => error)).toMatchObject({ retryAfterMs: 250 });
  });

  it('runs one process per endpoint and three in total; a fourth endpoint waits for its turn', async () => {
    const { started, clock, endpoint } = fake();
    const [a, b, c, d] = [endpoint(), endpoint(), endpoint(), endpoint()];
    const reads = [a(1), b(2), c(3), d(4)];
    await settle();
    clock.now += 10_000;
    await expect(a(5)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    expect(started.map(({ metadata }) => metadata)).toEqual([1, 2, 3]);
    started[1]?.fail();
    await expect(reads[1]).rejects.toBe(broken);
    await settle();
    expect(started.map(({ metadata }) => metadata)).toEqual([1, 2, 3, 4]);
    for (const one of started) one.answer(good);
    await Promise.all([reads[0], reads[2], reads[3]]);
  });

  it('does not use a process that died while it was idle', async () => {
    const { started, endpoint } = fake();
    started[0]?.fail();
    const read = endpoint()(1);
    await settle();
    started[1]?.answer(good);
    expect(await read).toEqual(layout);
  });

  it('ends a process that was idle for half a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { started } = fake();
      await vi.advanceTimersByTimeAsync(29_999);
      expect(started[0]?.isRunning).toBe(true);
      await vi.advanceTimersByTimeAsync(1);
      expect(started[0]?.isRunning).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });

  it('ends everything when it is closed, including endpoints that wait for their turn', async () => {
    const { decoder, started, endpoint, failures } = fake();
    const reads = [1, 2, 3, 4, 5].map((byte) => endpoint()(byte));
    await settle();
    await decoder[Symbol.asyncDispose]();
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    expect(started.map(({ isRunning }) => isRunning)).toEqual([false, false, false]);
    expect(failures).toEqual([]);
    await expect(endpoint()(6)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    expect(started).toHaveLength(3);
  });
});
