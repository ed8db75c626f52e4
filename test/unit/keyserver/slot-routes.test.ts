import { beforeEach, describe, expect, it } from 'vitest';
import type { SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { noExtensions } from '../../../src/protocol/extensions.ts';
import type { Head, Incarnation } from '../../../src/protocol/mac-routes.ts';
import { forgottenBytes, responseMac } from '../../../src/protocol/mac-routes.ts';
import { PLAIN_SLOT_ID } from '../../../src/protocol/report-data.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  claimContent,
  clientAccount,
  keyStatusContent,
  NOBODY,
  newSlotId,
  ProtocolClient,
} from '../../support/protocol-client.ts';

interface Slot {
  readonly slotId: SlotId;
  readonly key: SecretBytes;
  readonly token: SecretBytes | undefined;
}

let client: ProtocolClient;
let slot: Slot;

async function createSlot(): Promise<Slot> {
  const slotId = newSlotId();
  const { key, recoveryToken } = await client.obtain({ intent: 'create', slotId });
  return { slotId, key, token: recoveryToken };
}

beforeEach(async () => {
  client = new ProtocolClient(keyServerWorld());
  slot = await createSlot();
});

const boot = (number: number, byte: number): Incarnation => ({
  number,
  bootId: new Uint8Array(16).fill(byte),
});
const head = (generation: number, sequence: number): Head => ({
  generation,
  sequence,
  digest: new Uint8Array(32).fill(generation * 16 + sequence),
});
const nothing = { bytes: new Uint8Array(0), wire: {} };

describe('key-status', () => {
  it('authenticates both sides, and returns the identity and the time of the server', async () => {
    const state = await client.keyStatus(slot);
    expect(state).toEqual({
      instanceId: client.world.keyServer.identity.instanceId,
      serverTimeMs: client.world.clock.nowMs(),
      incarnation: NOBODY,
      head: undefined,
      draining: false,
      extensions: noExtensions,
    });
  });

  it('an unconfirmed key is removed after an hour, a confirmed key stays', async () => {
    const kept = await createSlot();
    await client.keyStatus(kept, { confirm: true });
    await client.keyStatus(slot);
    await client.world.clock.advance(3_599_999);
    await client.keyStatus(slot);
    await client.world.clock.advance(1);
    await client.keyStatus(kept);
    const gone = await client.sendMac('key-status', slot, keyStatusContent({})).reply;
    expect(gone).toMatchObject({ status: 404, json: { code: 'KEY_UNKNOWN' } });
    expect(client.world.vault.size).toBe(1);
  });

  it('recovering an unconfirmed key gives it another hour', async () => {
    await client.world.clock.advance(3_000_000);
    await client.obtain({ intent: 'recover', slotId: slot.slotId, token: slot.token });
    await client.world.clock.advance(3_000_000);
    await client.keyStatus(slot, { confirm: true });
  });

  it('deposited heads only grow', async () => {
    const deposit = async (value: Head) => (await client.keyStatus(slot, { head: value })).head;
    expect(await deposit(head(1, 5))).toEqual(head(1, 5));
    expect(await deposit(head(1, 4))).toEqual(head(1, 5));
    expect(await deposit({ ...head(1, 5), digest: new Uint8Array(32) })).toEqual(head(1, 5));
    expect(await deposit(head(2, 0))).toEqual(head(2, 0));
    expect(await deposit(head(1, 9))).toEqual(head(2, 0));
    const grant = await client.obtain({ intent: 'recover', slotId: slot.slotId, token: slot.token });
    expect(grant.head).toEqual(head(2, 0));
  });

  it('only the boot that holds the account deposits heads and reports', async () => {
    const report = { threshold: 3, slots: 5, live: 3 };
    await client.claim(slot, boot(1, 7));
    const older = await client.keyStatus(slot, { head: head(1, 9), report });
    expect(older.head).toBeUndefined();
    expect([...client.world.vault.keys()][0]?.report).toBeUndefined();
    const other = await client.keyStatus(slot, { head: head(1, 9), report, incarnation: boot(1, 8) });
    expect(other.head).toBeUndefined();
    const holder = await client.keyStatus(slot, { head: head(1, 2), report, incarnation: boot(1, 7) });
    expect(holder.head).toEqual(head(1, 2));
    expect([...client.world.vault.keys()][0]?.report).toEqual(report);
  });
});

describe('accounts that the server notifies after a restart', () => {
  it('include an account that confirmed a key, reported once for each key', async () => {
    expect(client.world.served).toEqual([]);
    await client.keyStatus(slot);
    expect(client.world.served).toEqual([]);
    await client.keyStatus(slot, { confirm: true });
    await client.keyStatus(slot, { confirm: true });
    expect(client.world.served).toEqual([client.account]);
  });

  it('exclude accounts with a plain key only, so that a stranger cannot delay a restarted server', async () => {
    const stranger = new ProtocolClient(client.world, clientAccount(2));
    const { key } = await stranger.obtain();
    await stranger.keyStatus({ slotId: PLAIN_SLOT_ID, key }, { confirm: true });
    expect(client.world.served).toEqual([]);
  });
});

describe('claim', () => {
  it('only grows: by number, then by boot id; the answer names the holder', async () => {
    const claim = async (incarnation: Incarnation) => (await client.claim(slot, incarnation)).incarnation;
    expect(await claim(boot(1, 5))).toEqual(boot(1, 5));
    expect(await claim(boot(1, 5))).toEqual(boot(1, 5));
    expect(await claim(boot(1, 4))).toEqual(boot(1, 5));
    expect(await claim(boot(1, 6))).toEqual(boot(1, 6));
    expect(await claim(boot(3, 1))).toEqual(boot(3, 1));
    expect(await claim(boot(2, 9))).toEqual(boot(3, 1));
    expect((await client.keyStatus(slot)).incarnation).toEqual(boot(3, 1));
    const grant = await client.obtain({ intent: 'recover', slotId: slot.slotId, token: slot.token });
    expect(grant.incarnation).toEqual(boot(3, 1));
  });

  it('of one slot does not affect another slot', async () => {
    const other = await createSlot();
    await client.claim(slot, boot(4, 1));
    expect((await client.keyStatus(other)).incarnation).toEqual(NOBODY);
  });

  it('is not made by recover', async () => {
    await client.claim(slot, boot(2, 1));
    await client.obtain({ intent: 'recover', slotId: slot.slotId, token: slot.token });
    expect((await client.keyStatus(slot)).incarnation).toEqual(boot(2, 1));
  });
});

describe('forget', () => {
  it('erases the key and proves it; the key cannot be recovered afterwards', async () => {
    const { mac, reply } = client.sendMac('forget', slot, nothing);
    const expected = responseMac(slot.key, 'forget', mac, forgottenBytes(noExtensions));
    expect((await reply).json).toEqual({ mac: toPrefixedHex(expected) });
    expect(client.world.vault.size).toBe(0);
    const attempt = await client.prepare({ intent: 'recover', slotId: slot.slotId, token: slot.token });
    expect(await client.submit(attempt)).toMatchObject({ status: 404, json: { code: 'KEY_UNKNOWN' } });
  });

  it('keeps the account while the server holds another key of it', async () => {
    const newer = await createSlot();
    expect((await client.sendMac('forget', slot, nothing).reply).status).toBe(200);
    expect(client.world.forgotten).toEqual([]);
    expect((await client.sendMac('forget', newer, nothing).reply).status).toBe(200);
    expect(client.world.forgotten).toEqual([client.account]);
  });

  it('is refused when it is sent twice', async () => {
    await client.sendMac('forget', slot, nothing).reply;
    const again = await client.sendMac('forget', slot, nothing).reply;
    expect(again).toMatchObject({ status: 404, json: { code: 'KEY_UNKNOWN' } });
  });
});

describe('requests that are refused', () => {
  const routes = [
    ['key-status', () => keyStatusContent({ head: head(1, 1), report: { threshold: 1, slots: 1, live: 1 } })],
    ['claim', () => claimContent(boot(1, 1))],
    ['forget', () => nothing],
  ] as const;

  it.each(routes)(
    '%s: an unknown key, a wrong MAC and another account look the same',
    async (route, content) => {
      const wrongKey = { ...slot, key: new SecretBytes(new Uint8Array(32)) };
      const stranger = new ProtocolClient(client.world, clientAccount(2));
      const replies = [
        await client.sendMac(route, { ...slot, slotId: newSlotId() }, content()).reply,
        await client.sendMac(route, wrongKey, content()).reply,
        await stranger.sendMac(route, slot, content()).reply,
        await client.sendMac(route, { ...slot, slotId: newSlotId() }, content(), {}, 1).reply,
        await client.sendMac(route, wrongKey, content(), {}, 1).reply,
      ];
      const shown = replies.map(({ status, json: { instance: _, ...rest } }) =>
        JSON.stringify({ status, rest }),
      );
      expect(new Set(shown).size).toBe(1);
      expect(replies[0]).toMatchObject({ status: 404, json: { code: 'KEY_UNKNOWN' } });
      expect(client.world.vault.size).toBe(1);
    },
  );

  it.each(routes)('%s: the MAC covers every field', async (route, content) => {
    const { wire } = content();
    const spoiled: Record<string, unknown>[] = [
      { timestampMs: client.world.clock.nowMs() + 1 },
      { random: `0x${'00'.repeat(16)}` },
      ...Object.entries(wire).map(([name, value]) => ({ [name]: anotherValue(value) })),
    ];
    for (const changes of spoiled) {
      const reply = await client.sendMac(route, slot, content(), changes).reply;
      expect({ changes, code: reply.json['code'] }).toEqual({ changes, code: 'KEY_UNKNOWN' });
    }
    if (route === 'key-status') {
      const { head: _head, ...without } = wire as Record<string, unknown>;
      const body = { bytes: content().bytes, wire: without };
      expect((await client.sendMac(route, slot, body).reply).json['code']).toBe('KEY_UNKNOWN');
    }
    expect(client.world.vault.size).toBe(1);
  });

  it.each(routes)('%s: a MAC of another route is refused', async (route, content) => {
    const { mac } = client.sendMac(route === 'claim' ? 'forget' : 'claim', slot, content());
    const reply = await client.sendMac(route, slot, content(), { mac: toPrefixedHex(mac) }).reply;
    expect(reply.json['code']).toBe('KEY_UNKNOWN');
  });

  it.each(routes)('%s: a MAC for another server is refused', async (route, content) => {
    const elsewhere = new ProtocolClient(keyServerWorld({ seed: 2, clock: client.world.clock }));
    const { mac } = elsewhere.sendMac(route, slot, content());
    const reply = await client.sendMac(route, slot, content(), { mac: toPrefixedHex(mac) }).reply;
    expect(reply.json['code']).toBe('KEY_UNKNOWN');
  });

  it.each(routes)('%s: a timestamp with an error of more than a minute', async (route, content) => {
    const now = client.world.clock.nowMs();
    for (const off of [-60_001, 60_001]) {
      const reply = await client.sendMac(route, slot, content(), {}, now + off).reply;
      expect(reply).toMatchObject({ status: 401, json: { code: 'TIMESTAMP_STALE', field: 'timestampMs' } });
    }
    expect(client.world.vault.size).toBe(1);
    for (const off of [-60_000, ...(route === 'forget' ? [] : [60_000])]) {
      expect((await client.sendMac(route, slot, content(), {}, now + off).reply).status).toBe(200);
    }
  });

  it.each([
    ['timestampMs', 1.5],
    ['timestampMs', -1],
    ['timestampMs', '1'],
    ['incarnation', 2 ** 53],
    ['bootId', '0x00'],
    ['confirm', 1],
    ['mac', `0x${'00'.repeat(31)}`],
    ['head', { generation: 1, sequence: 1 }],
    ['head', { generation: 1, sequence: -1, digest: `0x${'00'.repeat(32)}` }],
    ['head', { generation: 1, sequence: 1, digest: '0x00' }],
    ['report', { threshold: 0, slots: 5, live: 5 }],
    ['report', { threshold: 3, slots: 17, live: 5 }],
    ['slotId', `0x${'00'.repeat(15)}`],
    ['unknown', 1],
  ])('key-status with %s = %j', async (field, value) => {
    const reply = await client.sendMac('key-status', slot, keyStatusContent({}), { [field]: value }).reply;
    expect(reply).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID' } });
  });
});

function anotherValue(value: unknown): unknown {
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'string') return `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`;
  const record = value as Record<string, unknown>;
  const [name = ''] = Object.keys(record);
  return { ...record, [name]: anotherValue(record[name]) };
}
