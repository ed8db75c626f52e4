import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { AdmissionQueue } from '../../../src/keyserver/admission-queue.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { clientAccount, newSlotId, ProtocolClient } from '../../support/protocol-client.ts';

const LOCKED = true;
const OTHER = false;
const half = (length: number) => new Uint8Array(length).fill(0x80);

/** Until the last turn is over. */
const idle = async (): Promise<void> => {
  await setImmediate();
  await setImmediate();
};

/** Enters requests at once, in this order, and notes in which order they had their turn. */
function line(maxWaiting: number, kinds: readonly boolean[]) {
  const queue = new AdmissionQueue({ random: half, maxWaiting });
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
    const { turns, all } = line(8, [OTHER, OTHER, OTHER, OTHER]);
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

  it('lets a locked node go before all that are not', async () => {
    const { turns, all } = line(8, [OTHER, OTHER, LOCKED, OTHER, LOCKED]);
    await all;
    expect(turns).toEqual([0, 2, 4, 1, 3]);
  });

  it('refuses at once what would have to wait for long', async () => {
    const { queue, turns, refused, all } = line(2, [OTHER, OTHER, OTHER, OTHER, OTHER]);
    await all;
    expect([turns, refused]).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
    await expect(queue.enter(OTHER)).resolves.toBeUndefined();
  });

  it('lets fewer wait while turns take long, because of refusals between them', async () => {
    let nowMs = 0;
    const queue = new AdmissionQueue({ random: half, monotonicMs: () => (nowMs += 2) });
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
    // The one whose turn it is, and 32 that wait; later as many as have their turn within 25 ms.
    expect(served[0]).toBe(33);
    expect(served[3]).toBe(13);
  });

  it('lets eight wait however long turns take', async () => {
    let nowMs = 0;
    const queue = new AdmissionQueue({ random: half, monotonicMs: () => (nowMs += 60_000) });
    for (let round = 0; round < 3; round++) {
      const all = Array.from({ length: 9 }, () => queue.enter(OTHER));
      await expect(Promise.all(all)).resolves.toHaveLength(9);
      await idle();
    }
  });

  it('a locked node takes the place of the newest of the others, never of another locked one', async () => {
    const { turns, refused, all } = line(2, [OTHER, OTHER, OTHER, LOCKED, LOCKED, LOCKED]);
    await all;
    expect(turns).toEqual([0, 3, 4]);
    expect(refused.sort()).toEqual([1, 2, 5]);
  });

  it('tells each refused caller another time, so that they do not come back together', async () => {
    let draw = 0;
    const random = () => Uint8Array.of(draw++ * 64, 0, 0, 0);
    const queue = new AdmissionQueue({ random, maxWaiting: 0, monotonicMs: () => 0 });
    await queue.enter(OTHER);
    const refusals = [0, 1, 2, 3].map(() => queue.enter(OTHER).catch((error: unknown) => error));
    const times = (await Promise.all(refusals)).map(
      (error) => (error as { retryAfterMs: number }).retryAfterMs,
    );
    expect(times).toEqual([1_000, 1_250, 1_500, 1_750]);
  });
});

describe('a key server that is asked for more than it can verify', () => {
  it('refuses with SERVER_BUSY, makes no key for it, and takes the same request later', async () => {
    const world = keyServerWorld({ maxWaiting: 1 });
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

  it('gives a locked node its key before it makes new ones', async () => {
    const world = keyServerWorld({ maxWaiting: 2 });
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
    const world = keyServerWorld({ maxWaiting: 0, platformRate: { burst: 2, perSecond: 0.001 } });
    const clients = [1, 2].map((number) => new ProtocolClient(world, clientAccount(number)));
    const attempts = await Promise.all(
      clients.map((client) => client.prepare({ intent: 'create', slotId: newSlotId() })),
    );
    const replies = await Promise.all(clients.map((client, n) => client.submit(attempts[n] as never)));
    expect(replies.map(({ status }) => status)).toEqual([200, 503]);
    await setImmediate();
    expect((await clients[1]?.submit(attempts[1] as never))?.status).toBe(200);
  });
});
