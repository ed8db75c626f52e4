import { describe, expect, it } from 'vitest';
import { Nonce, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { ServerRecord } from '../../../src/chain/chain-view.ts';
import { PLAIN_SLOT_ID } from '../../../src/protocol/report-data.ts';
import { registrationReportData } from '../../../src/trust/registration.ts';
import { type KeyServerWorld, keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  claimContent,
  clientAccount,
  lineageKeyNumber,
  newSlotId,
  ProtocolClient,
  type Wish,
} from '../../support/protocol-client.ts';

const DAY_MS = 86_400_000;
const x25519PublicKey = X25519PublicKey.of(new Uint8Array(32).fill(9));

/** A record on the chain with a quote that proves account and platform. */
function record(world: KeyServerWorld, { account }: ProtocolClient, platform: number): ServerRecord {
  const reportData = registrationReportData(account, x25519PublicKey, 0, Nonce.of(new Uint8Array(32)));
  const quote = world.quote({ reportData, platform });
  return { account, stash: account, x25519PublicKey, endpoint: 'a:1', quote, active: true, signer: false };
}

/** The chain is followed, so that its newest view is fresh. */
async function pass(world: KeyServerWorld, days: number): Promise<void> {
  await world.clock.advance(days * DAY_MS);
  world.chain.set({});
}

async function outcome(client: ProtocolClient, wish: Wish): Promise<unknown> {
  const { status, json } = await client.submit(await client.prepare(wish));
  return status === 200 ? 'granted' : json['code'];
}

describe('keys of accounts without a record on the chain', () => {
  it.each([
    ['plain', {}],
    ['confirmed', { intent: 'create', slotId: newSlotId() }],
  ] as const)('a %s key ends 30 days after its last use', async (kind, wish) => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const { key } = await client.obtain(wish);
    const slotId = 'slotId' in wish ? wish.slotId : undefined;
    const use = async () => {
      if (slotId === undefined) return expect((await client.obtain({})).created).toBe(false);
      await client.link({ slotId, key }, lineageKeyNumber(1), { confirm: true });
    };
    await use();
    for (let times = 0; times < 3; times++) {
      await pass(world, 29);
      await use();
    }
    await pass(world, 30);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(1);
    expect([kind, world.vault.size]).toEqual([kind, 0]);
  });

  it.each(['key-status', 'claim', 'recover', 'create'] as const)('%s counts as a use', async (how) => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const { slotId, key, token } = await client.obtainLinked();
    const uses = {
      'key-status': () => client.keyStatus({ slotId, key }),
      claim: () => client.claim({ slotId, key }, { number: 1, bootId: new Uint8Array(16) }),
      recover: () => client.obtain({ intent: 'recover', slotId, token }),
      create: () => client.obtain({ intent: 'create', slotId, token }),
    };
    for (let times = 0; times < 2; times++) {
      await pass(world, 29);
      await uses[how]();
    }
    await pass(world, 29);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(0);
    await pass(world, 1);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(1);
  });

  it('a key in use does not keep a younger unused key alive', async () => {
    const world = keyServerWorld();
    const [older, younger] = [1, 2].map((number) => new ProtocolClient(world, clientAccount(number)));
    await older?.obtain();
    await younger?.obtain();
    await pass(world, 29);
    await older?.obtain();
    await pass(world, 1);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(1);
    expect([...world.vault.keys()].map(({ account }) => account)).toEqual([clientAccount(1)]);
  });

  it('a refused request does not count as a use', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const { slotId } = await client.obtainLinked();
    await pass(world, 29);
    const wrong = new SecretBytes(new Uint8Array(32).fill(7));
    expect(await outcome(client, { intent: 'recover', slotId, token: wrong })).toBe('RECOVERY_PROOF_WRONG');
    expect(await outcome(client, { intent: 'create', slotId, token: wrong })).toBe('KEY_EXISTS');
    await client.sendMac(
      'claim',
      { slotId, key: wrong },
      claimContent({ number: 1, bootId: new Uint8Array(16) }),
    ).reply;
    await pass(world, 1);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(1);
  });

  it('a key ends also without a sweep', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    await client.obtain();
    await pass(world, 30);
    expect((await client.obtain()).created).toBe(true);
  });

  it('keys of accounts with a record do not end; keys of a departed account end 30 days later', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const { key } = await client.obtain();
    world.chain.set({ servers: [record(world, client, 0)] });
    await pass(world, 400);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(0);
    world.chain.set({ servers: [] });
    await pass(world, 29);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(0);
    await client.keyStatus({ slotId: PLAIN_SLOT_ID, key });
    await pass(world, 30);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(1);
  });

  it('a key that nobody used for long does not end at the moment at which the record of its account is gone', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    world.chain.set({ servers: [record(world, client, 0)] });
    const { slotId, token } = await client.obtainLinked();
    // The node is down, and nothing makes the server look at the key.
    await pass(world, 45);
    world.chain.set({ servers: [] });
    expect(await outcome(client, { intent: 'recover', slotId, token })).toBe('ACCOUNT_DEREGISTERED');
    expect(world.vault.sweep(world.clock.nowMs())).toBe(0);
    // It is looked at again after 30 days, not at every sweep.
    const idleSince = [...world.vault.keys()].map(({ idleSinceMs }) => idleSinceMs);
    expect(idleSince).toEqual([world.clock.monotonicMs()]);
    world.chain.set({ servers: [record(world, client, 0)] });
    expect(await outcome(client, { intent: 'recover', slotId, token })).toBe('granted');
    // It ends once the record was gone for as long as a key may lie unused.
    world.chain.set({ servers: [] });
    await pass(world, 29);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(0);
    await pass(world, 1);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(1);
  });

  it('nor a day later', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    world.chain.set({ servers: [record(world, client, 0)] });
    await client.obtainLinked();
    await pass(world, 45);
    world.chain.set({ servers: [] });
    await pass(world, 1);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(0);
  });

  it('no key ends by a clock that was set', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const { slotId, token } = await client.obtainLinked();
    world.clock.set(40 * DAY_MS);
    world.chain.set({});
    expect(world.vault.sweep(world.clock.nowMs())).toBe(0);
    expect(await outcome(client, { intent: 'recover', slotId, token })).toBe('granted');
    world.clock.set(0);
    await pass(world, 30);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(1);
  });

  it('no key ends while the chain cannot be read', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    await client.obtain();
    await world.clock.advance(100 * DAY_MS);
    expect(world.vault.sweep(world.clock.nowMs())).toBe(0);
    expect((await client.obtain()).created).toBe(false);
  });

  it('ended keys free the places of their platform', async () => {
    const world = keyServerWorld({ limits: { maxKeysPerPlatform: 1 } });
    await new ProtocolClient(world, clientAccount(1)).obtain();
    await pass(world, 30);
    await new ProtocolClient(world, clientAccount(2)).obtain();
    expect(world.vault.size).toBe(1);
  });
});

describe('the quota of plain keys', () => {
  it('is small, counts per platform, and does not include keys under slot ids', async () => {
    const world = keyServerWorld({ limits: { maxPlainKeysPerPlatform: 2 } });
    const clients = [1, 2, 3].map((number) => new ProtocolClient(world, clientAccount(number)));
    const [first, , third] = clients;
    const outcomes = [];
    for (const client of clients) outcomes.push(await outcome(client, { platform: 1 }));
    expect(outcomes).toEqual(['granted', 'granted', 'PLATFORM_LIMIT']);
    if (first === undefined || third === undefined) throw new Error('no client');
    expect(await outcome(third, { platform: 2 })).toBe('granted');
    expect(await outcome(third, { intent: 'create', slotId: newSlotId(), platform: 1 })).toBe('granted');
    expect(await outcome(first, { platform: 1 })).toBe('granted');
  });

  it('is not used up by keys under slot ids', async () => {
    const world = keyServerWorld({ limits: { maxPlainKeysPerPlatform: 1 } });
    const client = new ProtocolClient(world);
    await client.obtain({ intent: 'create', slotId: newSlotId() });
    expect(await outcome(client, {})).toBe('granted');
  });

  it('is far below the limit of all keys by default', async () => {
    const { defaultVaultLimits } = await import('../../../src/keyserver/vault.ts');
    expect(defaultVaultLimits.maxPlainKeysPerPlatform * 16).toBeLessThanOrEqual(
      defaultVaultLimits.maxKeysPerPlatform,
    );
  });
});

describe('a plain key that another platform obtained for the account', () => {
  it('is replaced for the registered platform when it was never used', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const taken = await client.obtain({ platform: 7 });
    expect(await outcome(client, { platform: 1 })).toBe('PLATFORM_REFUSED');
    world.chain.set({ servers: [record(world, client, 1)] });
    const mine = await client.obtain({ platform: 1 });
    expect(mine.created).toBe(true);
    expect(toHex(mine.key.reveal())).not.toBe(toHex(taken.key.reveal()));
    expect(world.vault.size).toBe(1);
    expect(await outcome(client, { platform: 7 })).toBe('PLATFORM_REFUSED');
    expect((await client.obtain({ platform: 1 })).created).toBe(false);
  });

  it('is erased when it is replaced, and its place of that platform is free again', async () => {
    const world = keyServerWorld({ limits: { maxPlainKeysPerPlatform: 1 } });
    const client = new ProtocolClient(world);
    const other = new ProtocolClient(world, clientAccount(2));
    await client.obtain({ platform: 7 });
    const taken = world.vault.find(client.account, PLAIN_SLOT_ID, world.clock.nowMs());
    expect(await outcome(other, { platform: 7 })).toBe('PLATFORM_LIMIT');
    world.chain.set({ servers: [record(world, client, 1)] });
    await client.obtain({ platform: 1 });
    expect(() => taken?.key).toThrow();
    expect(await outcome(other, { platform: 7 })).toBe('granted');
  });

  it.each([
    ['asked for again', {}],
    ['recovered', { intent: 'recover' }],
  ] as const)('stays when it was %s: it may protect data', async (_how, use) => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    await client.obtain({ platform: 7 });
    await client.obtain({ ...use, platform: 7 });
    world.chain.set({ servers: [record(world, client, 1)] });
    expect(await outcome(client, { platform: 1 })).toBe('PLATFORM_REFUSED');
    expect((await client.obtain({ platform: 7 })).created).toBe(false);
  });

  it('stays while the server drains, because the server would make no replacement', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    await client.obtain({ platform: 7 });
    world.chain.set({ servers: [record(world, client, 1)] });
    world.vault.isDraining = true;
    expect(await outcome(client, { platform: 1 })).toBe('SERVER_DRAINING');
    expect(world.vault.size).toBe(1);
  });

  it('cannot be made when the chain proves another platform', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    world.chain.set({ servers: [record(world, client, 1)] });
    expect(await outcome(client, { platform: 7 })).toBe('PLATFORM_REFUSED');
    expect(await outcome(client, { platform: 1 })).toBe('granted');
  });

  it('is not affected by a record with a quote for another account', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    await client.obtain({ platform: 7 });
    const foreign = record(world, new ProtocolClient(world, clientAccount(2)), 1);
    world.chain.set({ servers: [{ ...foreign, account: client.account }] });
    expect(await outcome(client, { platform: 1 })).toBe('PLATFORM_REFUSED');
  });
});

describe('a plain key while the server has no news of the chain', () => {
  const STALE_MS = 600_001;

  it('is made for nobody: another machine would take that of a registered account for ever', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    world.chain.set({ servers: [record(world, client, 1)] });
    await world.clock.advance(STALE_MS);
    for (const platform of [7, 1]) expect(await outcome(client, { platform })).toBe('CHAIN_UNAVAILABLE');
    expect(world.vault.size).toBe(0);
    world.chain.set({});
    expect(await outcome(client, { platform: 7 })).toBe('PLATFORM_REFUSED');
    expect(await outcome(client, { platform: 1 })).toBe('granted');
  });

  it('is given as before where it exists', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    await client.obtain({ platform: 1 });
    await world.clock.advance(STALE_MS);
    // Whether the other platform may replace it depends on the chain, until it was used.
    expect(await outcome(client, { platform: 7 })).toBe('CHAIN_UNAVAILABLE');
    expect((await client.obtain({ platform: 1 })).created).toBe(false);
    expect(await outcome(client, { platform: 7 })).toBe('PLATFORM_REFUSED');
  });
});
