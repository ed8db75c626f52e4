import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { TokenBuckets } from '../../../src/time/token-buckets.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  clientAccount,
  keyStatusContent,
  lineageKeyNumber,
  newSlotId,
  ProtocolClient,
} from '../../support/protocol-client.ts';

const create = (platform: number) => ({ intent: 'create', slotId: newSlotId(), platform }) as const;

describe('bounds of the key table', () => {
  it('the keys of one platform for one account have their own limit', async () => {
    const client = new ProtocolClient(keyServerWorld({ limits: { maxKeysPerPlatformAndAccount: 2 } }));
    await client.obtain(create(1));
    await client.obtain(create(1));
    const full = await client.submit(await client.prepare(create(1)));
    expect(full).toMatchObject({ status: 429, json: { code: 'PLATFORM_LIMIT' } });
    await client.obtain(create(2));
    await new ProtocolClient(client.world, clientAccount(2)).obtain(create(1));
  });

  it('all keys of one platform together are limited', async () => {
    const world = keyServerWorld({ limits: { maxKeysPerPlatform: 2 } });
    for (const account of [1, 2]) await new ProtocolClient(world, clientAccount(account)).obtain(create(1));
    const third = new ProtocolClient(world, clientAccount(3));
    expect((await third.submit(await third.prepare(create(1)))).json['code']).toBe('PLATFORM_LIMIT');
    await third.obtain(create(2));
  });

  it('a full table refuses keys, and accepts keys again when unconfirmed keys have expired', async () => {
    const client = new ProtocolClient(keyServerWorld({ limits: { maxKeys: 2 } }));
    await client.obtain(create(1));
    await client.obtain(create(2));
    const full = await client.submit(await client.prepare(create(3)));
    expect(full).toMatchObject({ status: 507, json: { code: 'VAULT_FULL' } });
    await client.world.clock.advance(3_600_000);
    await client.obtain(create(3));
    expect(client.world.vault.size).toBe(1);
  });

  it('expired keys do not count for their platform', async () => {
    const limits = { maxKeysPerPlatformAndAccount: 2, maxKeysPerPlatform: 2 };
    const client = new ProtocolClient(keyServerWorld({ limits }));
    await client.obtain(create(1));
    await client.obtain(create(1));
    await client.world.clock.advance(3_600_000);
    await client.obtain(create(1));
    expect(client.world.vault.size).toBe(1);
  });

  it('a key keeps nothing in memory of the quote that asked for it', async () => {
    const client = new ProtocolClient(keyServerWorld());
    await client.obtain(create(1));
    const [key] = [...client.world.vault.keys()];
    expect(key?.provenance.trustHash.buffer.byteLength).toBe(48);
    expect(key?.provenance.platform.buffer.byteLength).toBe(16);
  });

  it('keys of one platform share what was proved of it, and each has the trust section that it was made under', async () => {
    const mrConfigId = new Uint8Array(48).fill(9);
    const trust = { acceptedTrustHashes: [toPrefixedHex(mrConfigId)] };
    const client = new ProtocolClient(keyServerWorld({ trust }));
    await client.obtain(create(1));
    await client.obtain({ ...create(1), body: { mrConfigId } });
    await client.obtain(create(1));
    const [first, other, third] = [...client.world.vault.keys()];
    expect(first?.provenance.trustHash).toEqual(client.world.trustHash);
    expect(other?.provenance.trustHash).toEqual(mrConfigId);
    expect(third?.provenance).toBe(first?.provenance);
  });

  it('a platform whose keys and lineages have ended leaves nothing', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const { vault, clock } = client.world;
    for (const platform of [1, 2]) {
      const wish = create(platform);
      const { key } = await client.obtain(wish);
      await client.link({ slotId: wish.slotId, key }, lineageKeyNumber(platform));
    }
    expect([vault.platforms, vault.lineages.platforms]).toEqual([2, 2]);
    await clock.advance(3_600_000);
    vault.sweep(clock.nowMs());
    expect([vault.platforms, vault.accounts, vault.lineages.platforms]).toEqual([0, 0, 2]);
    await clock.advance(90 * 24 * 3_600_000);
    vault.sweep(clock.nowMs());
    expect(vault.lineages.platforms).toBe(0);
  });

  it('a key that is erased stays erased when it is erased again, or its use is noted late', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const { vault, clock } = client.world;
    const { slotId } = await client.obtainLinked();
    const key = vault.find(client.account, slotId, clock.nowMs());
    if (key === undefined) throw new Error('no key');
    expect(vault.forget(client.account, slotId)).toBe(true);
    expect(vault.forget(client.account, slotId)).toBe(false);
    expect(() => vault.noteUse(key)).toThrow(TypeError);
    expect([vault.size, vault.accounts, vault.platforms]).toEqual([0, 0, 0]);
  });

  it('a sweep keeps confirmed and recovered keys', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const confirmed = create(1);
    const { key } = await client.obtain(confirmed);
    await client.link({ slotId: confirmed.slotId, key }, lineageKeyNumber(1), { confirm: true });
    const recovered = create(1);
    const { recoveryToken: token, key: second } = await client.obtain(recovered);
    await client.link({ slotId: recovered.slotId, key: second }, lineageKeyNumber(1));
    await client.world.clock.advance(1_800_000);
    await client.obtain({ intent: 'recover', slotId: recovered.slotId, token });
    await client.obtain(create(1));
    await client.world.clock.advance(1_800_000);
    expect(client.world.vault.sweep(client.world.clock.nowMs())).toBe(0);
    await client.keyStatus({ slotId: recovered.slotId, key: second });
    await client.world.clock.advance(1_800_000);
    expect(client.world.vault.sweep(client.world.clock.nowMs())).toBe(2);
    await client.keyStatus({ slotId: confirmed.slotId, key });
    expect(client.world.vault.size).toBe(1);
  });
});

describe('rates', () => {
  it('key requests of one platform are limited, and the refusal tells when to retry', async () => {
    const world = keyServerWorld({ platformRate: { burst: 2, perSecond: 0.5 } });
    const client = new ProtocolClient(world);
    await client.obtain();
    await client.obtain();
    const limited = await client.submit(await client.prepare());
    expect(limited).toMatchObject({ status: 429, json: { code: 'PLATFORM_LIMIT', retryAfterMs: 2000 } });
    expect(limited.headers.get('retry-after')).toBe('2');
    await new ProtocolClient(world, clientAccount(2)).obtain({ platform: 1 });
    await world.clock.advance(2000);
    await client.obtain();
  });

  it('requests of one address are limited for all routes together', async () => {
    const world = keyServerWorld({ addressRate: { burst: 2, perSecond: 1 } });
    const from = (peer: string, path = '/nowhere') =>
      world.send('GET', path, undefined, { 'x-test-peer': peer });
    expect((await from('a')).status).toBe(404);
    expect((await from('a')).status).toBe(404);
    const limited = await from('a', '/attestation');
    expect(limited).toMatchObject({ status: 429, json: { code: 'RATE_LIMITED' } });
    expect(limited.headers.get('retry-after')).toBe('1');
    expect((await from('b')).status).toBe(404);
    await world.clock.advance(1000);
    expect((await from('a')).status).toBe(404);
  });

  it('buckets refill up to their burst, and a clock that goes back refills nothing', () => {
    const buckets = new TokenBuckets({ burst: 2, perSecond: 1 });
    const take = (nowMs: number) => buckets.take('name', nowMs);
    expect([take(0), take(0), take(0)]).toEqual([0, 0, 1000]);
    expect([take(60_000), take(60_000), take(60_000)]).toEqual([0, 0, 1000]);
    expect(take(0)).toBe(1000);
    expect(take(500)).toBe(500);
  });

  it('the number of buckets is bounded; the least recently used is dropped first', () => {
    const buckets = new TokenBuckets({ burst: 1, perSecond: 0.001 }, 2);
    for (const name of ['a', 'b', 'a', 'c']) buckets.take(name, 0);
    expect(buckets.take('a', 0)).toBeGreaterThan(0);
    expect(buckets.take('b', 0)).toBe(0);
  });

  it('key-status of an expired key frees its place', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const wish = create(1);
    const { key } = await client.obtain(wish);
    await client.world.clock.advance(3_600_000);
    const slot = { slotId: wish.slotId, key };
    expect((await client.sendMac('key-status', slot, keyStatusContent({})).reply).status).toBe(404);
    expect(client.world.vault.size).toBe(0);
  });
});

describe('a rate that changes while a server runs', () => {
  it('counts from the next request on, and a bucket that is too full is cut down', () => {
    const rate = { burst: 5, perSecond: 0.001 };
    const buckets = new TokenBuckets(rate);
    expect(buckets.take('a', 0)).toBe(0);
    rate.burst = 1;
    expect(buckets.take('a', 0)).toBe(0);
    expect(buckets.take('a', 0)).toBeGreaterThan(0);
  });
});
