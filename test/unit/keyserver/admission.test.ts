import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { AdmissionQueue } from '../../../src/keyserver/admission-queue.ts';
import { keyServerWorld, memoryCollateral } from '../../support/key-server-fixture.ts';
import { clientAccount, newSlotId, ProtocolClient } from '../../support/protocol-client.ts';

const LOCKED = true;
const OTHER = false;
const half = (length: number) => new Uint8Array(length).fill(0x80);

/** Until the last turn is over. */
const idle = async (): Promise<void> => {
  await setImmediate();
  await setImmediate();
  await setImmediate();
};

/** Lines of a fixed length. */
const exactly = (places: number) => ({ waitMs: 1, fewest: places, most: places });

/** Enters requests at once, in this order, and notes in which order they had their turn. */
function line(places: { locked: number; others: number }, kinds: readonly boolean[]) {
  const queue = new AdmissionQueue({
    random: half,
    // Time stands still: nothing but the requests takes any.
    monotonicMs: () => 0,
    locked: exactly(places.locked),
    others: exactly(places.others),
  });
  const turns: number[] = [];
  const refused: number[] = [];
  const all = kinds.map((isLocked, index) =>
    queue.enter(isLocked).then(
      () => turns.push(index),
      () => refused.push(index),
    ),
  );
  return { queue, turns, refused, all: Promise.all(all) };
}

describe('the admission queue', () => {
  it('gives one turn in each turn of the event loop, in the order of arrival', async () => {
    const { turns, all } = line({ locked: 0, others: 8 }, [OTHER, OTHER, OTHER, OTHER]);
    const seen: number[] = [];
    const look = (): void => {
      seen.push(turns.length);
      if (turns.length < 3) globalThis.setImmediate(look);
    };
    globalThis.setImmediate(look);
    await all;
    expect(turns).toEqual([0, 1, 2, 3]);
    // Whatever else waited had its turn between any two.
    expect(seen).toEqual([2, 3]);
  });

  it('lets locked nodes go first, and the others have one turn of four', async () => {
    const kinds = [OTHER, OTHER, LOCKED, OTHER, LOCKED, LOCKED, LOCKED, LOCKED];
    const { turns, all } = line({ locked: 8, others: 8 }, kinds);
    await all;
    expect(turns).toEqual([0, 2, 4, 5, 1, 6, 7, 3]);
  });

  it.each([
    ['locked nodes', LOCKED],
    ['the others', OTHER],
  ])(
    'refuses at once when the line of %s is full, and the other line is not concerned',
    async (_who, kind) => {
      const places = { locked: kind === LOCKED ? 2 : 4, others: kind === OTHER ? 2 : 4 };
      const { queue, turns, refused, all } = line(places, [kind, kind, kind, kind, kind, !kind]);
      await all;
      expect(refused).toEqual([3, 4]);
      expect(turns.sort()).toEqual([0, 1, 2, 5]);
      await idle();
      expect(queue.retryAfterMs(kind)).toBeUndefined();
      await expect(queue.enter(kind)).resolves.toBeUndefined();
    },
  );

  it('tells beforehand that it would refuse, and does not count it as a request', async () => {
    const { queue, all } = line({ locked: 8, others: 1 }, [OTHER]);
    expect(queue.retryAfterMs(OTHER)).toBeUndefined();
    expect(queue.retryAfterMs(OTHER)).toBeUndefined();
    const waiting = queue.enter(OTHER);
    expect(queue.retryAfterMs(OTHER)).toBe(1_501);
    await expect(queue.enter(OTHER)).rejects.toMatchObject({ code: 'SERVER_BUSY', retryAfterMs: 1_501 });
    expect(queue.retryAfterMs(LOCKED)).toBeUndefined();
    await Promise.all([all, waiting]);
  });

  it('lets fewer wait while turns take long, because of refusals between them', async () => {
    let nowMs = 0;
    const queue = new AdmissionQueue({ random: half, monotonicMs: () => (nowMs += 1) });
    const busy = async () => {
      const all = Array.from({ length: 40 }, () =>
        queue.enter(OTHER).then(
          () => 1,
          () => 0,
        ),
      );
      return (await Promise.all(all)).reduce((sum: number, one) => sum + one, 0);
    };
    const served = [];
    for (let round = 0; round < 4; round++) {
      served.push(await busy());
      await idle();
    }
    // The one whose turn it is, and those that have theirs within 25 ms; before one was measured, of a millisecond each.
    expect(served[0]).toBe(26);
    expect(served[3]).toBe(13);
  });

  it.each([
    ['locked', LOCKED],
    ['other', OTHER],
  ])('lets eight %s ones wait however long turns take', async (_what, kind) => {
    let nowMs = 0;
    const queue = new AdmissionQueue({ random: half, monotonicMs: () => (nowMs += 30_000) });
    for (let round = 0; round < 3; round++) {
      const all = Array.from({ length: 9 }, () => queue.enter(kind));
      await expect(Promise.all(all)).resolves.toHaveLength(9);
      await idle();
    }
    const more = Array.from({ length: 10 }, () => queue.enter(kind));
    expect((await Promise.allSettled(more)).filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });

  it('lets thousands of locked nodes wait, for at most half of their deadline', async () => {
    let nowMs = 0;
    const queue = new AdmissionQueue({ random: half, monotonicMs: () => (nowMs += 0.25) });
    const storm = async () => {
      const all = Array.from({ length: 6_000 }, () => queue.enter(LOCKED));
      return (await Promise.allSettled(all)).filter(({ status }) => status === 'fulfilled').length;
    };
    expect(await storm()).toBe(3_001);
    nowMs = 0;
    const slow = new AdmissionQueue({ random: half, monotonicMs: () => (nowMs += 5) });
    await Promise.all(Array.from({ length: 300 }, () => slow.enter(LOCKED)));
    await idle();
    const all = Array.from({ length: 6_000 }, () => slow.enter(LOCKED));
    expect((await Promise.allSettled(all)).filter(({ status }) => status === 'fulfilled')).toHaveLength(301);
  });

  /** Requests of 1 ms each, while the rest of each turn of the event loop takes `refusalsMs`. */
  function flood(refusalsMs: number) {
    let nowMs = 0;
    const queue = new AdmissionQueue({
      random: half,
      monotonicMs: () => nowMs,
      locked: { waitMs: 1_000, fewest: 1, most: 10_000 },
    });
    const turnsOfLoop: number[] = [];
    let turns = 0;
    let isOver = false;
    // Runs once in each turn of the event loop, before the turns of the queue.
    const refuseMany = (): void => {
      turnsOfLoop.push(turns);
      turns = 0;
      nowMs += refusalsMs;
      if (!isOver) globalThis.setImmediate(refuseMany);
    };
    globalThis.setImmediate(refuseMany);
    const enter = async (): Promise<void> => {
      await queue.enter(LOCKED);
      nowMs += 1;
      turns += 1;
    };
    const end = () => {
      isOver = true;
    };
    return { queue, turnsOfLoop, enter, end };
  }

  it.each([
    ['as many turns as take as long as refusals take', 10, 10],
    ['one turn at least', 0.5, 1],
    ['64 turns at most, so that refusals come too', 1e6, 64],
  ])('gives %s, in each turn of the event loop', async (_what, refusalsMs, expected) => {
    const { turnsOfLoop, enter, end } = flood(refusalsMs);
    await Promise.all(Array.from({ length: 150 }, enter));
    end();
    // The length of the first two is not known before they are over.
    expect(turnsOfLoop.slice(0, 2)).toEqual([1, 1]);
    expect(turnsOfLoop[3]).toBe(expected);
    await idle();
  });

  it('counts the time from one turn to the next also where many come together', async () => {
    const { queue, enter, end } = flood(10);
    await Promise.all(Array.from({ length: 600 }, enter));
    const waiting: Promise<void>[] = [];
    while (queue.retryAfterMs(LOCKED) === undefined) waiting.push(enter());
    // One of two milliseconds is for a key, and a locked node waits for a second.
    expect(waiting.length).toBeGreaterThan(450);
    expect(waiting.length).toBeLessThan(550);
    await Promise.all(waiting);
    end();
    await idle();
  });

  it('tells each refused caller another time, so that they do not come back together', async () => {
    let draws = 0;
    const random = (length: number) => {
      draws += 1;
      return Uint8Array.from({ length }, (_, at) => (at % 4 === 0 ? (at / 4 + draws - 1) * 64 : 0));
    };
    const queue = new AdmissionQueue({ random, others: exactly(0) });
    await queue.enter(OTHER);
    const refusals = Array.from({ length: 258 }, () => queue.retryAfterMs(OTHER));
    expect(refusals.slice(0, 4)).toEqual([1_000, 1_250, 1_500, 1_750]);
    // The second draw begins with another value.
    expect(refusals.slice(255)).toEqual([1_750, 1_250, 1_500]);
    expect(draws).toBe(2);
  });
});

describe('a key server that is asked for more than it can verify', () => {
  it('refuses with SERVER_BUSY, makes no key for it, and takes the same request later', async () => {
    const world = keyServerWorld({ othersMayWait: 1 });
    const clients = [1, 2, 3].map((number) => new ProtocolClient(world, clientAccount(number)));
    const attempts = await Promise.all(
      clients.map((client) => client.prepare({ intent: 'create', slotId: newSlotId() })),
    );
    const replies = await Promise.all(clients.map((client, n) => client.submit(attempts[n] as never)));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 200, 503]);
    expect(world.vault.size).toBe(2);
    const busy = replies.findIndex(({ status }) => status === 503);
    expect(replies[busy]?.json).toMatchObject({ code: 'SERVER_BUSY' });
    expect(Number(replies[busy]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    const again = await clients[busy]?.submit(attempts[busy] as never);
    expect(again?.status).toBe(200);
    expect(world.vault.size).toBe(3);
  });

  it('has room for a locked node while the line of the others is full', async () => {
    const world = keyServerWorld({ othersMayWait: 1 });
    const owner = new ProtocolClient(world, clientAccount(9));
    const { slotId, key, token } = await owner.obtainLinked();
    const recover = await owner.prepare({ intent: 'recover', slotId, token });
    const clients = [1, 2, 3].map((number) => new ProtocolClient(world, clientAccount(number)));
    const creates = await Promise.all(
      clients.map((client) => client.prepare({ intent: 'create', slotId: newSlotId() })),
    );
    await setImmediate();
    const answers = clients.map((client, n) => client.submit(creates[n] as never));
    const reply = await owner.submit(recover);
    expect(reply.status).toBe(200);
    expect(toPrefixedHex(owner.open(recover, reply).key.reveal())).toBe(toPrefixedHex(key.reveal()));
    expect((await Promise.all(answers)).map(({ status }) => status).sort()).toEqual([200, 200, 503]);
  });

  it('does not verify quotes of a caller that is refused, nor count it against its platform', async () => {
    const world = keyServerWorld({ othersMayWait: 0, platformRate: { burst: 2, perSecond: 0.001 } });
    const clients = [1, 2].map((number) => new ProtocolClient(world, clientAccount(number)));
    const attempts = await Promise.all(
      clients.map((client) => client.prepare({ intent: 'create', slotId: newSlotId() })),
    );
    const replies = await Promise.all(clients.map((client, n) => client.submit(attempts[n] as never)));
    expect(replies.map(({ status }) => status)).toEqual([200, 503]);
    await setImmediate();
    expect((await clients[1]?.submit(attempts[1] as never))?.status).toBe(200);
  });

  it('says so before it reads a request, and counts what it refuses', async () => {
    const { pki, clock } = keyServerWorld();
    const collateral = memoryCollateral(pki, clock);
    const during: unknown[] = [];
    const world = keyServerWorld({
      clock,
      othersMayWait: 0,
      collateral: {
        ...collateral,
        collateralFor: (platform) => {
          during.push(world.keyServer.refuseEarly(OTHER, 'while another one has its turn'));
          return collateral.collateralFor(platform);
        },
      },
    });
    const refused = async (): Promise<string | undefined> =>
      /keys_refused_total\{code="SERVER_BUSY"\} (\d+)/.exec(await world.metrics.registry.metrics())?.[1];
    expect(world.keyServer.refuseEarly(OTHER, 'while it is idle')).toBeUndefined();
    expect(await refused()).toBeUndefined();
    await new ProtocolClient(world).obtain();
    expect(during).toEqual([expect.any(Number)]);
    expect(await refused()).toBe('1');
  });
});
