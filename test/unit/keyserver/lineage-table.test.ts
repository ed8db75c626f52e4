import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { lineageIdOf } from '../../../src/lineage/lineage-key.ts';
import { type KeyServerWorld, keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  clientAccount,
  keyStatusContent,
  lineageKeyNumber,
  NO_CONTENT,
  newSlotId,
  ProtocolClient,
} from '../../support/protocol-client.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Which of these lineages the server remembers. */
async function remembered(client: ProtocolClient, numbers: readonly number[]): Promise<readonly number[]> {
  const known = [];
  for (const number of numbers) {
    const lineageKey = lineageKeyNumber(number);
    const { status } = await client.sendMac('lineage-status', { lineageKey }, NO_CONTENT).reply;
    if (status === 200) known.push(number);
  }
  return known;
}

/** A lineage whose slot is forgotten again. */
async function leave(client: ProtocolClient, number: number, platform = 0): Promise<void> {
  await client.forget(await client.obtainLinked(lineageKeyNumber(number), { platform }));
}

const sweep = (world: KeyServerWorld): number => world.vault.sweep(world.clock.nowMs());

describe('the life of a lineage', () => {
  it('it outlives a slot that expires while it is linked, by 90 days from then', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const { world } = client;
    const slotId = newSlotId();
    const { key } = await client.obtain({ intent: 'create', slotId });
    const boot = { number: 4, bootId: new Uint8Array(16).fill(4) };
    await client.link({ slotId, key }, lineageKeyNumber(1), { incarnation: boot });
    await world.clock.advance(HOUR_MS);
    expect(sweep(world)).toBe(1);
    expect((await client.lineageStatus(lineageKeyNumber(1))).lineage).toMatchObject({
      shown: boot,
      slots: [],
    });
    await world.clock.advance(90 * DAY_MS - 1);
    expect(await remembered(client, [1])).toEqual([1]);
    await world.clock.advance(1);
    sweep(world);
    expect(world.vault.lineageCount).toBe(0);
  });

  it.each(['a grant', 'an answer'])(
    'an expired slot is not shown, also before a sweep: %s',
    async (where) => {
      const client = new ProtocolClient(keyServerWorld());
      const slotId = newSlotId();
      const { key } = await client.obtain({ intent: 'create', slotId });
      await client.link({ slotId, key }, lineageKeyNumber(1));
      const kept = await client.obtainLinked(lineageKeyNumber(1));
      await client.world.clock.advance(HOUR_MS);
      const { lineage } =
        where === 'a grant'
          ? await client.obtain({ intent: 'recover', slotId: kept.slotId, token: kept.token })
          : await client.lineageStatus(lineageKeyNumber(1));
      expect(lineage?.slots).toEqual([kept.slotId]);
    },
  );

  it('a lineage with a living slot stays, however long nothing came', async () => {
    const client = new ProtocolClient(keyServerWorld({ limits: { unregisteredKeyTtlMs: 1000 * DAY_MS } }));
    await client.obtainLinked(lineageKeyNumber(1));
    await client.world.clock.advance(400 * DAY_MS);
    sweep(client.world);
    expect(await remembered(client, [1])).toEqual([1]);
  });

  it('the clock of its machine, set forward and back, ends no memory of it', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const { world } = client;
    await leave(client, 1);
    for (const aheadMs of [200 * DAY_MS, -200 * DAY_MS, 0]) {
      world.clock.set(aheadMs);
      sweep(world);
      await remembered(client, [1]);
    }
    expect(await remembered(client, [1])).toEqual([1]);
    await world.clock.advance(90 * DAY_MS);
    sweep(world);
    expect(world.vault.lineageCount).toBe(0);
  });

  it('a slot that comes after the 90 days finds a fresh lineage', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const boot = { number: 4, bootId: new Uint8Array(16).fill(4) };
    const slot = await client.obtainLinked(lineageKeyNumber(1));
    await client.forget(slot, boot);
    await client.lineageUpdate(lineageKeyNumber(1), { incarnation: boot });
    await client.world.clock.advance(90 * DAY_MS);
    const next = await client.obtainLinked(lineageKeyNumber(1));
    expect((await client.keyStatus(next)).lineage?.shown.number).toBe(0);
  });

  it('requests with a slot are signs of life, and refused ones are not', async () => {
    const client = new ProtocolClient(keyServerWorld({ limits: { lineageTtlMs: 90 * DAY_MS } }));
    const other = new ProtocolClient(client.world, clientAccount(2));
    for (const number of [1, 2]) await leave(client, number);
    await client.world.clock.advance(50 * DAY_MS);
    // An older instance that may not link the first one, and somebody without the key of the second one.
    await client.lineageUpdate(lineageKeyNumber(1), {
      incarnation: { number: 5, bootId: new Uint8Array(16) },
    });
    await client.sendMac('lineage-update', { lineageKey: lineageKeyNumber(3) }, keyStatusContent({})).reply;
    await other.sendMac('lineage-status', { lineageKey: lineageKeyNumber(2) }, NO_CONTENT).reply;
    await client.world.clock.advance(40 * DAY_MS);
    expect(await remembered(client, [1, 2])).toEqual([1]);
    const slotId = newSlotId();
    const { key } = await client.obtain({ intent: 'create', slotId });
    await client.link({ slotId, key }, lineageKeyNumber(1));
    await client.forget({ slotId, key }, { number: 6, bootId: new Uint8Array(16) });
    await client.world.clock.advance(89 * DAY_MS);
    expect(await remembered(client, [1])).toEqual([1]);
  });
});

describe('the bounds', () => {
  it('of a platform: the lineage without slots that was seen longest ago makes room', async () => {
    const world = keyServerWorld({ limits: { maxLineagesPerPlatform: 3 } });
    const client = new ProtocolClient(world);
    const kept = await client.obtainLinked(lineageKeyNumber(1));
    for (const number of [2, 3]) {
      await leave(client, number);
      await world.clock.advance(1);
    }
    await client.lineageUpdate(lineageKeyNumber(2), {});
    await leave(client, 4);
    expect(await remembered(client, [1, 2, 3, 4])).toEqual([1, 2, 4]);
    expect((await client.keyStatus(kept)).lineage?.slots).toEqual([kept.slotId]);
  });

  it('of a platform: a lineage that lost one of two slots is in use', async () => {
    const world = keyServerWorld({ limits: { maxLineagesPerPlatform: 1 } });
    const client = new ProtocolClient(world);
    const [lost, kept] = [
      await client.obtainLinked(lineageKeyNumber(1)),
      await client.obtainLinked(lineageKeyNumber(1)),
    ];
    await client.forget(lost);
    await expect(client.obtainLinked(lineageKeyNumber(2))).rejects.toThrow('PLATFORM_LIMIT');
    expect((await client.keyStatus(kept)).lineage?.slots).toEqual([kept.slotId]);
  });

  it('of a platform: a lineage in use makes no room after its owner has updated it', async () => {
    const world = keyServerWorld({ limits: { maxLineagesPerPlatform: 1 } });
    const client = new ProtocolClient(world);
    const kept = await client.obtainLinked(lineageKeyNumber(1));
    await client.lineageUpdate(lineageKeyNumber(1), {});
    await expect(client.obtainLinked(lineageKeyNumber(2))).rejects.toThrow('PLATFORM_LIMIT');
    expect((await client.keyStatus(kept)).lineage?.slots).toEqual([kept.slotId]);
  });

  it('of a platform: lineages of other platforms stay', async () => {
    const world = keyServerWorld({ limits: { maxLineagesPerPlatform: 1 } });
    const client = new ProtocolClient(world);
    await leave(client, 1, 1);
    for (const number of [2, 3, 4]) await leave(client, number, 2);
    expect(await remembered(client, [1, 2, 3, 4])).toEqual([1, 4]);
  });

  it('of a platform: when all are in use, a link is refused and nothing has changed', async () => {
    const world = keyServerWorld({ limits: { maxLineagesPerPlatform: 1 } });
    const client = new ProtocolClient(world);
    await client.obtainLinked(lineageKeyNumber(1));
    const slotId = newSlotId();
    const { key, recoveryToken: token } = await client.obtain({ intent: 'create', slotId });
    const status = { confirm: true, report: { threshold: 1, slots: 1, live: 1 } };
    const content = () =>
      keyStatusContent({ ...status, lineage: client.sealed({ slotId, key }, lineageKeyNumber(2)) });
    const refused = await client.sendMac('key-status', { slotId, key }, content()).reply;
    expect(refused).toMatchObject({ status: 429, json: { code: 'PLATFORM_LIMIT' } });
    expect(await remembered(client, [1, 2])).toEqual([1]);
    expect(world.vault.find(client.account, slotId, world.clock.nowMs())).toMatchObject({
      confirmed: false,
      lineage: undefined,
      report: undefined,
    });
    const { json } = await client.submit(await client.prepare({ intent: 'recover', slotId, token }));
    expect(json['code']).toBe('SLOT_UNLINKED');
    // A second slot of the lineage that is here needs no room.
    expect((await client.link({ slotId, key }, lineageKeyNumber(1))).lineage?.slots).toHaveLength(2);
  });

  it('of all: the lineage without slots that was seen longest ago makes room, of whichever platform', async () => {
    const world = keyServerWorld({ limits: { maxLineages: 3 } });
    const client = new ProtocolClient(world);
    await client.obtainLinked(lineageKeyNumber(1), { platform: 1 });
    for (const number of [2, 3]) {
      await leave(client, number, number);
      await world.clock.advance(1);
    }
    await leave(client, 4, 4);
    expect(await remembered(client, [1, 2, 3, 4])).toEqual([1, 3, 4]);
    await leave(client, 5, 5);
    expect(await remembered(client, [1, 2, 3, 4, 5])).toEqual([1, 4, 5]);
  });

  it('of all: when all are in use, a link is refused', async () => {
    const world = keyServerWorld({ limits: { maxLineages: 1 } });
    const client = new ProtocolClient(world);
    const first = await client.obtainLinked(lineageKeyNumber(1), { platform: 1 });
    const slotId = newSlotId();
    const { key } = await client.obtain({ intent: 'create', slotId, platform: 2 });
    const content = () => keyStatusContent({ lineage: client.sealed({ slotId, key }, lineageKeyNumber(2)) });
    const refused = await client.sendMac('key-status', { slotId, key }, content()).reply;
    expect(refused).toMatchObject({ status: 507, json: { code: 'VAULT_FULL' } });
    await client.forget(first);
    expect((await client.sendMac('key-status', { slotId, key }, content()).reply).status).toBe(200);
    expect(await remembered(client, [1, 2])).toEqual([2]);
  });

  it('of all: many lineages of one platform push out its own, and none of a platform with few', async () => {
    const world = keyServerWorld({ limits: { maxLineages: 6, maxLineagesPerPlatform: 100 } });
    const client = new ProtocolClient(world);
    await leave(client, 1, 1);
    for (let number = 2; number < 20; number++) {
      await world.clock.advance(1);
      await leave(client, number, 2);
    }
    expect(await remembered(client, [1, 14, 15, 16, 17, 18, 19])).toEqual([1, 15, 16, 17, 18, 19]);
  });

  /** Lineages without slots, one after the other, in a table that they fill: of which platform each is. */
  async function full(platforms: readonly number[]) {
    const world = keyServerWorld({ limits: { maxLineages: platforms.length, maxLineagesPerPlatform: 100 } });
    const client = new ProtocolClient(world);
    const all = platforms.map((_, index) => index + 1);
    for (const [index, platform] of platforms.entries()) {
      await world.clock.advance(1);
      await leave(client, index + 1, platform);
    }
    const seeAgain = async (number: number) => {
      await world.clock.advance(1);
      await client.lineageUpdate(lineageKeyNumber(number), {});
    };
    /** Which ones are left after one of yet another platform came. */
    const leftAfterAnother = async () => {
      await world.clock.advance(1);
      await leave(client, 100, 100);
      return remembered(client, all);
    };
    return { seeAgain, leftAfterAnother };
  }

  it('of all: a platform with few keeps an old one, also when it came after the platform with most', async () => {
    const { seeAgain, leftAfterAnother } = await full([1, 2, 1, 1]);
    await seeAgain(1);
    expect(await leftAfterAnother()).toEqual([1, 2, 4]);
  });

  it('of all: the platform with most gives way, also when another one above the average has an older one', async () => {
    const { leftAfterAnother } = await full([1, 1, 2, 2, 2, 3]);
    expect(await leftAfterAnother()).toEqual([1, 2, 4, 5, 6]);
  });

  it('of all: where the platform with most has all in use, the next one above the average gives way', async () => {
    const world = keyServerWorld({ limits: { maxLineages: 6 } });
    const client = new ProtocolClient(world);
    for (const number of [1, 2]) await leave(client, number, 1);
    for (const number of [3, 4, 5]) await client.obtainLinked(lineageKeyNumber(number), { platform: 2 });
    await leave(client, 6, 3);
    await leave(client, 7, 4);
    expect(await remembered(client, [1, 2, 3, 4, 5, 6, 7])).toEqual([2, 3, 4, 5, 6, 7]);
  });

  it('of all: of two platforms with as many, the one with the oldest gives way', async () => {
    const { seeAgain, leftAfterAnother } = await full([1, 1, 2, 2]);
    await seeAgain(1);
    await seeAgain(2);
    expect(await leftAfterAnother()).toEqual([1, 2, 4]);
  });

  it('of all: lineages in use count for their platform, so that those of a platform with few stay', async () => {
    const world = keyServerWorld({ limits: { maxLineages: 3 } });
    const client = new ProtocolClient(world);
    await leave(client, 1, 1);
    for (const number of [2, 3]) await client.obtainLinked(lineageKeyNumber(number), { platform: 2 });
    await expect(client.obtainLinked(lineageKeyNumber(4), { platform: 3 })).rejects.toThrow('VAULT_FULL');
    expect(await remembered(client, [1, 2, 3])).toEqual([1, 2, 3]);
  });

  it('of all: a lineage whose time has passed makes room, of whichever platform', async () => {
    const world = keyServerWorld({ limits: { maxLineages: 3 } });
    const client = new ProtocolClient(world);
    await leave(client, 1, 1);
    await world.clock.advance(45 * DAY_MS);
    for (const number of [2, 3]) await leave(client, number, 2);
    await world.clock.advance(45 * DAY_MS);
    await leave(client, 4, 3);
    expect(await remembered(client, [1, 2, 3, 4])).toEqual([2, 3, 4]);
  });

  it('of a platform whose lineages are all in use: none of another platform makes room for it', async () => {
    const world = keyServerWorld({ limits: { maxLineagesPerPlatform: 1 } });
    const client = new ProtocolClient(world);
    await leave(client, 1, 1);
    await client.obtainLinked(lineageKeyNumber(2), { platform: 2 });
    await expect(client.obtainLinked(lineageKeyNumber(3), { platform: 2 })).rejects.toThrow('PLATFORM_LIMIT');
    expect(await remembered(client, [1, 2, 3])).toEqual([1, 2]);
  });

  it('lineages whose time has passed do not count, and make room before others', async () => {
    const world = keyServerWorld({ limits: { maxLineages: 2 } });
    const client = new ProtocolClient(world);
    await leave(client, 1);
    await world.clock.advance(45 * DAY_MS);
    await leave(client, 2);
    await world.clock.advance(45 * DAY_MS);
    await leave(client, 3);
    expect(await remembered(client, [1, 2, 3])).toEqual([2, 3]);
    expect(world.vault.lineageCount).toBe(2);
  });

  it('a lineage that is used again is not counted twice', async () => {
    const world = keyServerWorld({
      limits: { maxLineagesPerPlatform: 1, maxKeysPerPlatformAndAccount: 100 },
    });
    const client = new ProtocolClient(world);
    for (let times = 0; times < 3; times++) await leave(client, 1);
    await leave(client, 2);
    expect(await remembered(client, [1, 2])).toEqual([2]);
    await world.clock.advance(90 * DAY_MS);
    await client.obtainLinked(lineageKeyNumber(3));
    expect(world.vault.lineageCount).toBe(1);
  });
});

it('lineage keys are erased when the server is wiped, and when a lineage makes room', async () => {
  const world = keyServerWorld({ limits: { maxLineagesPerPlatform: 2 } });
  const client = new ProtocolClient(world);
  const recordOf = (number: number) =>
    world.vault.lineages.find(client.account, lineageIdOf(lineageKeyNumber(number)));
  const bytesOf = (number: number): Uint8Array => recordOf(number)?.key.reveal() ?? new Uint8Array();
  await leave(client, 1);
  const evicted = recordOf(1);
  const bytes = bytesOf(1);
  expect(toHex(bytes)).toBe(toHex(lineageKeyNumber(1).reveal()));
  await leave(client, 2);
  await client.obtainLinked(lineageKeyNumber(3));
  expect(() => evicted?.key).toThrow(TypeError);
  expect(toHex(bytes)).not.toBe(toHex(lineageKeyNumber(1).reveal()));
  const expired = bytesOf(2);
  expect(expired).toHaveLength(32);
  await world.clock.advance(90 * DAY_MS);
  sweep(world);
  expect(expired.some((byte) => byte !== 0)).toBe(false);
  await client.obtainLinked(lineageKeyNumber(2));
  await client.obtainLinked(lineageKeyNumber(3));
  const living = [2, 3].map(bytesOf);
  expect(living.every((key) => new SecretBytes(key).equals(new SecretBytes(new Uint8Array(32))))).toBe(false);
  world.keyServer.wipe();
  expect(living.flatMap((key) => [...key]).some((byte) => byte !== 0)).toBe(false);
  expect(living.flatMap((key) => [...key])).toHaveLength(64);
  expect([world.vault.size, world.vault.lineageCount, world.vault.accounts]).toEqual([0, 0, 0]);
  expect([...world.vault.keys()]).toEqual([]);
});
