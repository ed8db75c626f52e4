import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { PLAIN_SLOT_ID } from '../../../src/protocol/report-data.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { clientAccount, lineageKeyNumber, newSlotId, ProtocolClient } from '../../support/protocol-client.ts';

const hexOf = (secret: SecretBytes | undefined): string =>
  secret === undefined ? 'none' : toPrefixedHex(secret.reveal());

describe('the plain request', () => {
  it('gives one account the same key every time, by quotes of both versions (K1)', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const first = await client.obtain();
    const second = await client.obtain({ version: 5 });
    expect(first).toMatchObject({ created: true, recoveryToken: undefined, lineage: undefined });
    expect(second.created).toBe(false);
    expect(hexOf(second.key)).toBe(hexOf(first.key));
    expect(second.keyId).toEqual(first.keyId);
    expect(second.createdAtMs).toBe(first.createdAtMs);
  });

  it('gives different accounts and different servers different keys', async () => {
    const world = keyServerWorld();
    const keys = [
      await new ProtocolClient(world, clientAccount(1)).obtain(),
      await new ProtocolClient(world, clientAccount(2)).obtain(),
      await new ProtocolClient(keyServerWorld({ seed: 2 }), clientAccount(1)).obtain(),
    ];
    expect(new Set(keys.map(({ key }) => hexOf(key))).size).toBe(3);
  });

  it('accepts the account as hex too, and needs neither intent nor slot id', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const attempt = await client.prepare();
    const { intent: _intent, ...body } = attempt.body;
    const [named] = body['servers'] as readonly { server: string; nonce: string }[];
    const plain = {
      ...body,
      accountId: toPrefixedHex(client.account),
      servers: [{ server: toPrefixedHex(client.world.account), nonce: named?.nonce }],
    };
    const reply = await client.submit({ ...attempt, body: plain });
    expect(client.open(attempt, reply).created).toBe(true);
    expect(reply.json['server']).toBe(encodeSs58(client.world.account));
  });

  it('is bound to the platform that made the key', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const made = await client.obtain({ platform: 1 });
    const elsewhere = await client.submit(await client.prepare({ platform: 2 }));
    expect(elsewhere).toMatchObject({ status: 403, json: { code: 'PLATFORM_REFUSED' } });
    const recovered = await client.submit(await client.prepare({ platform: 2, intent: 'recover' }));
    expect(recovered.json['code']).toBe('PLATFORM_REFUSED');
    expect(hexOf((await client.obtain({ platform: 1, intent: 'recover' })).key)).toBe(hexOf(made.key));
  });

  it('does not expire without a confirmation', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const first = await client.obtain();
    await client.world.clock.advance(25 * 3_600_000);
    expect(hexOf((await client.obtain()).key)).toBe(hexOf(first.key));
  });
});

describe('create and recover', () => {
  it('recovers with the token, from another platform too', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    const made = await client.obtain({ intent: 'create', slotId, platform: 1 });
    expect(made.created).toBe(true);
    expect(made.recoveryToken?.length).toBe(32);
    await client.link({ slotId, key: made.key }, lineageKeyNumber(1));
    const back = await client.obtain({ intent: 'recover', slotId, token: made.recoveryToken, platform: 2 });
    expect(back).toMatchObject({ created: false, recoveryToken: undefined });
    expect(hexOf(back.key)).toBe(hexOf(made.key));
  });

  it('refuses to recover without the proof or with a wrong one', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    await client.obtain({ intent: 'create', slotId });
    const recover = async (token?: SecretBytes) =>
      client.submit(await client.prepare({ intent: 'recover', slotId, token }));
    expect(await recover()).toMatchObject({ status: 401, json: { code: 'RECOVERY_PROOF_REQUIRED' } });
    const wrong = new SecretBytes(new Uint8Array(32).fill(7));
    expect(await recover(wrong)).toMatchObject({ status: 401, json: { code: 'RECOVERY_PROOF_WRONG' } });
  });

  it('never makes a key for recover', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const attempt = await client.prepare({ intent: 'recover', slotId: newSlotId() });
    expect(await client.submit(attempt)).toMatchObject({ status: 404, json: { code: 'KEY_UNKNOWN' } });
    expect(client.world.vault.size).toBe(0);
    expect(client.world.served).toEqual([]);
  });

  it('a repeated create gets the same key with the proof, and 409 without', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    const made = await client.obtain({ intent: 'create', slotId });
    const again = await client.submit(await client.prepare({ intent: 'create', slotId }));
    expect(again).toMatchObject({ status: 409, json: { code: 'KEY_EXISTS' } });
    const proved = await client.obtain({ intent: 'create', slotId, token: made.recoveryToken });
    expect(proved.created).toBe(false);
    expect(hexOf(proved.key)).toBe(hexOf(made.key));
    expect(hexOf(proved.recoveryToken)).toBe(hexOf(made.recoveryToken));
  });

  it('a create whose answer was lost is repeated as often as needed, until the slot is used', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    const { key, recoveryToken: token } = await client.obtain({ intent: 'create', slotId });
    for (let times = 0; times < 3; times++) {
      const again = await client.obtain({ intent: 'create', slotId, token });
      expect(hexOf(again.key)).toBe(hexOf(key));
    }
    // Without a lineage nobody can show its bearer a newer store or a newer instance.
    await client.keyStatus({ slotId, key });
    const late = await client.submit(await client.prepare({ intent: 'create', slotId, token }));
    expect(late).toMatchObject({ status: 409, json: { code: 'SLOT_UNLINKED' } });
  });

  it('a repeated create gives a slot that is not linked to no other platform', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    const { recoveryToken: token } = await client.obtain({ intent: 'create', slotId, platform: 1 });
    const wish = { intent: 'create', slotId, token, platform: 2 } as const;
    const elsewhere = await client.submit(await client.prepare(wish));
    expect(elsewhere).toMatchObject({ status: 409, json: { code: 'SLOT_UNLINKED' } });
    expect((await client.obtain({ ...wish, platform: 1 })).created).toBe(false);
  });

  it('keeps the plain key and the keys under slot ids apart', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const plain = await client.obtain();
    const slot = await client.obtain({ intent: 'create', slotId: newSlotId() });
    expect(hexOf(slot.key)).not.toBe(hexOf(plain.key));
    expect(client.world.vault.size).toBe(2);
  });

  it.each([
    ['create', 'without'],
    ['get-or-create', 'with'],
  ] as const)('%s %s a slot id is refused', async (intent, how) => {
    const client = new ProtocolClient(keyServerWorld());
    const attempt = await client.prepare(how === 'with' ? { intent, slotId: newSlotId() } : { intent });
    expect(await client.submit(attempt)).toMatchObject({
      status: 400,
      json: { code: 'FIELD_INVALID', field: 'servers.slotId' },
    });
    expect(client.world.vault.size).toBe(0);
  });

  it('an account without its former record on the chain gets no existing key back, by recover or create; one that never had a record does', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const { chain } = client.world;
    const { slotId, token } = await client.obtainLinked();
    await client.obtain({ intent: 'recover', slotId, token });
    const record = { account: client.account, stash: client.account, active: true, signer: false };
    const rest = { x25519PublicKey: client.world.keyServer.identity.x25519PublicKey, endpoint: 'a:1' };
    chain.set({ servers: [{ ...record, ...rest, quote: new Uint8Array(0) }] });
    await client.obtain({ intent: 'recover', slotId, token });
    chain.set({ servers: [] });
    // Only who proves the token learns more of a slot by `create` than that there is a key.
    for (const intent of ['recover', 'create'] as const) {
      const refused = await client.submit(await client.prepare({ intent, slotId, token }));
      expect([intent, refused]).toMatchObject([
        intent,
        { status: 403, json: { code: 'ACCOUNT_DEREGISTERED' } },
      ]);
    }
    const unproved = await client.submit(await client.prepare({ intent: 'create', slotId }));
    expect(unproved.json['code']).toBe('KEY_EXISTS');
    const fresh = newSlotId();
    const made = await client.obtain({ intent: 'create', slotId: fresh });
    const repeated = { intent: 'create', slotId: fresh, token: made.recoveryToken } as const;
    const refused = await client.submit(await client.prepare(repeated));
    expect(refused.json['code']).toBe('ACCOUNT_DEREGISTERED');
    await client.world.clock.advance(600_001);
    for (const intent of ['recover', 'create'] as const) {
      const unsure = await client.submit(await client.prepare({ intent, slotId, token }));
      expect([intent, unsure]).toMatchObject([intent, { status: 503, json: { code: 'CHAIN_UNAVAILABLE' } }]);
    }
  });

  it('an account without its former record on the chain gets its plain key back by no intent', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const { chain } = client.world;
    await client.obtain();
    const record = { account: client.account, stash: client.account, active: true, signer: false };
    const rest = { x25519PublicKey: client.world.keyServer.identity.x25519PublicKey, endpoint: 'a:1' };
    chain.set({ servers: [{ ...record, ...rest, quote: new Uint8Array(0) }] });
    expect((await client.obtain()).created).toBe(false);
    chain.set({ servers: [] });
    for (const intent of ['recover', 'get-or-create'] as const) {
      const refused = await client.submit(await client.prepare({ intent }));
      expect([intent, refused.json['code']]).toEqual([intent, 'ACCOUNT_DEREGISTERED']);
    }
    // Another platform is refused as before, and a key that does not exist is made as before.
    const foreign = await client.submit(await client.prepare({ platform: 2 }));
    expect(foreign.json['code']).toBe('PLATFORM_REFUSED');
    client.world.vault.forget(client.account, PLAIN_SLOT_ID);
    expect((await client.obtain()).created).toBe(true);
  });

  it('the sealed answer carries server time and the finalized block', async () => {
    const world = keyServerWorld();
    const { block } = world.chain.set({});
    const grant = await new ProtocolClient(world).obtain();
    expect(grant.serverTimeMs).toBe(world.clock.nowMs());
    expect(grant.finalized).toEqual({ number: block.number, hash: block.hash });
  });
});

describe('replays and concurrency', () => {
  it('answers a replay with the same bytes, and makes no second key (K3)', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    const attempt = await client.prepare({ intent: 'create', slotId });
    const first = await client.submit(attempt);
    await client.world.clock.advance(50_000);
    const replayed = await client.submit(attempt);
    expect(replayed.status).toBe(200);
    expect(replayed.text).toBe(first.text);
    expect(client.world.vault.size).toBe(1);
    await client.world.clock.advance(10_001);
    expect((await client.submit(attempt)).json['code']).toBe('CHALLENGE_EXPIRED');
  });

  it('ten concurrent copies of one create make one key and one answer', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const attempt = await client.prepare({ intent: 'create', slotId: newSlotId() });
    const replies = await Promise.all(Array.from({ length: 10 }, () => client.submit(attempt)));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
    expect(client.world.vault.size).toBe(1);
    expect(await client.world.metrics.text()).toContain('latchkey_keys_released_total{intent="create"} 1');
  });

  it('two concurrent different creates of one slot id: one wins, the other is refused', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    const wish = { intent: 'create', slotId } as const;
    const attempts = [await client.prepare(wish), await client.prepare(wish)];
    const replies = await Promise.all(attempts.map((attempt) => client.submit(attempt)));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(client.world.vault.size).toBe(1);
  });

  it('two concurrent plain requests get one key', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const [one, two] = await Promise.all([client.obtain(), client.obtain()]);
    expect(hexOf(one.key)).toBe(hexOf(two.key));
    expect([one.created, two.created].sort()).toEqual([false, true]);
  });

  it('a failure is not cached: the same request is judged again', async () => {
    const world = keyServerWorld({ platformRate: { burst: 1, perSecond: 0.02 } });
    const client = new ProtocolClient(world);
    await client.obtain();
    const attempt = await client.prepare();
    expect((await client.submit(attempt)).json['code']).toBe('PLATFORM_LIMIT');
    await world.clock.advance(50_000);
    expect((await client.submit(attempt)).status).toBe(200);
  });
});
