import { beforeEach, describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { defaultVaultLimits, Vault } from '../../../src/keyserver/vault.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  claimContent,
  clientAccount,
  keyStatusContent,
  lineageKeyNumber,
  newSlotId,
  ProtocolClient,
} from '../../support/protocol-client.ts';
import { unknownAccounts } from '../../support/server-memory.ts';

let client: ProtocolClient;
beforeEach(() => {
  client = new ProtocolClient(keyServerWorld());
});

describe('a key server that drains', () => {
  it.each([
    ['create', () => ({ intent: 'create', slotId: newSlotId() }) as const],
    ['get-or-create', () => ({}) as const],
  ] as const)('makes no new key by %s, and tells when to retry', async (_intent, wish) => {
    client.world.vault.isDraining = true;
    const reply = await client.submit(await client.prepare(wish()));
    expect(reply).toMatchObject({ status: 503, json: { code: 'SERVER_DRAINING', retryAfterMs: 60_000 } });
    expect(reply.headers.get('retry-after')).toBe('60');
    expect(client.world.vault.size).toBe(0);
    client.world.vault.isDraining = false;
    await client.obtain(wish());
    expect(client.world.vault.size).toBe(1);
  });

  it('drains while a newer instance has its account, whatever its operator says', () => {
    let isOvertaken = false;
    const vault = new Vault(systemRandom, unknownAccounts, defaultVaultLimits, {
      isOvertaken: () => isOvertaken,
    });
    expect(vault.isDraining).toBe(false);
    isOvertaken = true;
    expect(vault.isDraining).toBe(true);
    vault.isDraining = false;
    expect(vault.isDraining).toBe(true);
  });

  it('gives every existing key, by every intent', async () => {
    const { slotId, key, token } = await client.obtainLinked();
    const plain = new ProtocolClient(client.world, clientAccount(2));
    const { key: plainKey } = await plain.obtain();
    client.world.vault.isDraining = true;
    const again = [
      await client.obtain({ intent: 'create', slotId, token }),
      await client.obtain({ intent: 'recover', slotId, token }),
    ];
    for (const grant of again) {
      expect(toPrefixedHex(grant.key.reveal())).toBe(toPrefixedHex(key.reveal()));
    }
    for (const intent of ['get-or-create', 'recover'] as const) {
      const grant = await plain.obtain({ intent });
      expect(toPrefixedHex(grant.key.reveal())).toBe(toPrefixedHex(plainKey.reveal()));
    }
  });

  it('reports the drain under the MAC of key-status and claim, and still forgets keys', async () => {
    const slotId = newSlotId();
    const { key } = await client.obtain({ intent: 'create', slotId });
    const slot = { slotId, key };
    expect(await client.keyStatus(slot)).toMatchObject({ draining: false });
    client.world.vault.isDraining = true;
    expect(await client.link(slot, lineageKeyNumber(1), { confirm: true })).toMatchObject({ draining: true });
    expect(await client.claim(slot, { number: 1, bootId: new Uint8Array(16) })).toMatchObject({
      draining: true,
    });
    const boot = { number: 1, bootId: new Uint8Array(16) };
    expect(await client.forget(slot, boot)).toMatchObject({ erased: true, draining: true });
    expect(client.world.vault.size).toBe(0);
    // A client without a key learns nothing about the drain.
    const stranger = await client.sendMac('key-status', slot, keyStatusContent({})).reply;
    expect(stranger.json).toMatchObject({ code: 'KEY_UNKNOWN' });
    const claim = await client.sendMac('claim', slot, claimContent({ number: 1, bootId: new Uint8Array(16) }))
      .reply;
    expect(claim.json).toMatchObject({ code: 'KEY_UNKNOWN' });
  });
});
