import { beforeEach, describe, expect, it } from 'vitest';
import type { SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { type Incarnation, NO_INCARNATION } from '../../../src/lineage/incarnation.ts';
import { lineageIdOf } from '../../../src/lineage/lineage-key.ts';
import type { Closing } from '../../../src/lineage/rules.ts';
import type { Deposit } from '../../../src/protocol/lineage-state.ts';
import { MAX_LINEAGE_SLOTS } from '../../../src/protocol/lineage-state.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  clientAccount,
  type LinkedHolder,
  lineageKeyNumber,
  lineageUpdateContent,
  NO_CONTENT,
  newSlotId,
  ProtocolClient,
} from '../../support/protocol-client.ts';

const lineageKey = lineageKeyNumber(1);
const otherLineageKey = lineageKeyNumber(2);
const DAY_MS = 86_400_000;
let client: ProtocolClient;
let slot: LinkedHolder;

beforeEach(async () => {
  client = new ProtocolClient(keyServerWorld());
  slot = await client.obtainLinked(lineageKey);
});

const boot = (number: number, byte: number): Incarnation => ({
  number,
  bootId: new Uint8Array(16).fill(byte),
});
const head = (sequence: number): Deposit => ({ sequence, digest: new Uint8Array(32).fill(sequence % 256) });
const lastHead: Deposit = head(Number.MAX_SAFE_INTEGER);
const lastBoot = boot(Number.MAX_SAFE_INTEGER, 255);
const closing: Closing = { last: lastBoot, head: lastHead };
const living = (): number => client.world.vault.size;

describe('lineage-status', () => {
  it('shows the lineage also when its slots are gone', async () => {
    await client.keyStatus(slot, { incarnation: boot(3, 1), head: head(5) });
    const before = (await client.keyStatus(slot)).lineage;
    expect((await client.lineageStatus(lineageKey)).lineage).toEqual(before);
    await client.forget(slot, boot(3, 1));
    expect((await client.lineageStatus(lineageKey)).lineage).toEqual({ ...before, slots: [] });
  });

  it('changes nothing, not even when the lineage was last seen', async () => {
    await client.forget(slot);
    for (let day = 0; day < 89; day++) {
      await client.world.clock.advance(DAY_MS);
      await client.lineageStatus(lineageKey);
    }
    await client.world.clock.advance(DAY_MS);
    const { reply } = client.sendMac('lineage-status', { lineageKey }, NO_CONTENT);
    expect((await reply).json['code']).toBe('LINEAGE_UNKNOWN');
  });

  it('says that the server drains', async () => {
    client.world.vault.isDraining = true;
    expect(await client.lineageStatus(lineageKey)).toMatchObject({ draining: true });
    expect(await client.lineageUpdate(lineageKey, {})).toMatchObject({ draining: true });
  });
});

describe('lineage-update', () => {
  it('shows the incarnation, takes the head, and erases the slots that it names', async () => {
    const kept = await client.obtainLinked(lineageKey);
    const { lineage } = await client.lineageUpdate(lineageKey, {
      incarnation: boot(2, 1),
      head: head(6),
      forget: [slot.slotId],
    });
    expect(lineage).toMatchObject({
      shown: boot(2, 1),
      head: { ...head(6), incarnation: boot(2, 1) },
      slots: [kept.slotId],
      closed: false,
    });
    expect(living()).toBe(1);
    expect(client.world.forgotten).toEqual([]);
    await client.lineageUpdate(lineageKey, { incarnation: boot(2, 1), forget: [kept.slotId] });
    expect(client.world.forgotten).toEqual([client.account]);
  });

  it('works when all slots are gone, and an account without keys is not reported again', async () => {
    await client.forget(slot);
    const { lineage } = await client.lineageUpdate(lineageKey, { incarnation: boot(2, 1), head: head(6) });
    expect(lineage).toMatchObject({ shown: boot(2, 1), slots: [] });
    expect(lineage?.head?.sequence).toBe(6);
    expect(client.world.forgotten).toEqual([client.account]);
  });

  it('of an older instance changes nothing, and shows the newer one', async () => {
    await client.claim(slot, boot(3, 1));
    for (const close of [undefined, closing]) {
      const { lineage } = await client.lineageUpdate(lineageKey, {
        incarnation: boot(2, 255),
        head: head(9),
        forget: [slot.slotId],
        close,
      });
      expect(lineage).toMatchObject({
        shown: boot(3, 1),
        head: undefined,
        slots: [slot.slotId],
        closed: false,
      });
    }
    expect(living()).toBe(1);
  });

  it('erases no slot of another lineage, of another account, unlinked, plain or unknown', async () => {
    const otherLineage = await client.obtainLinked(otherLineageKey);
    const stranger = new ProtocolClient(client.world, clientAccount(2));
    const theirs = await stranger.obtainLinked(lineageKey);
    const unlinked = newSlotId();
    await client.obtain({ intent: 'create', slotId: unlinked });
    const plain = await client.obtain();
    expect(plain.created).toBe(true);
    const none: SlotId = otherLineage.slotId;
    await client.lineageUpdate(lineageKey, {
      incarnation: boot(1, 1),
      forget: [none, theirs.slotId, unlinked, newSlotId()],
    });
    expect(living()).toBe(5);
  });

  it('names at most 32 slots; a longer list is refused', async () => {
    const list = (length: number) => Array.from({ length }, () => newSlotId());
    const full = lineageUpdateContent({ forget: list(MAX_LINEAGE_SLOTS) });
    expect((await client.sendMac('lineage-update', { lineageKey }, full).reply).status).toBe(200);
    const tooLong = lineageUpdateContent({ forget: list(MAX_LINEAGE_SLOTS + 1) });
    const refused = await client.sendMac('lineage-update', { lineageKey }, tooLong).reply;
    expect(refused).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID' } });
  });

  it('of a lineage with more slots than an answer names, the newest are shown and can be erased', async () => {
    let newest = slot;
    for (let number = 0; number < MAX_LINEAGE_SLOTS; number++) {
      newest = await client.obtainLinked(lineageKey, { platform: number % 4 });
    }
    const { lineage } = await client.lineageStatus(lineageKey);
    expect(lineage?.slots).toHaveLength(MAX_LINEAGE_SLOTS);
    expect(lineage?.slots[0]).toEqual(newest.slotId);
    const after = await client.lineageUpdate(lineageKey, { forget: lineage?.slots ?? [] });
    expect(after.lineage?.slots).toHaveLength(1);
    expect(living()).toBe(1);
  });

  it('counts as a sign of life', async () => {
    await client.forget(slot);
    await client.world.clock.advance(89 * DAY_MS);
    await client.lineageUpdate(lineageKey, {});
    await client.world.clock.advance(89 * DAY_MS);
    await client.lineageStatus(lineageKey);
  });
});

describe('closing', () => {
  const closeIt = (forget: readonly SlotId[] = []) =>
    client.lineageUpdate(lineageKey, { incarnation: boot(1, 1), head: head(5), forget, close: closing });

  it('erases all slots of the lineage and keeps a last mark and head', async () => {
    for (let number = 0; number < 3; number++) await client.obtainLinked(lineageKey);
    const other = await client.obtainLinked(otherLineageKey);
    expect((await closeIt()).lineage).toMatchObject({
      shown: lastBoot,
      head: { ...lastHead, incarnation: lastBoot },
      slots: [],
      closed: true,
    });
    expect(living()).toBe(1);
    expect((await client.keyStatus(other)).lineage?.closed).toBe(false);
    expect(client.world.forgotten).toEqual([]);
  });

  it('of the only slots reports that the account is gone', async () => {
    await closeIt([slot.slotId]);
    expect(client.world.forgotten).toEqual([client.account]);
  });

  it('with a last incarnation that is not above all others shows no older one', async () => {
    await client.claim(slot, boot(7, 1));
    const close = { last: boot(6, 1), head: head(9) };
    const { lineage } = await client.lineageUpdate(lineageKey, { incarnation: boot(8, 1), close });
    expect(lineage).toMatchObject({ shown: boot(8, 1), head: undefined, closed: true });
  });

  it('leaves nothing to change: no link, confirmation, mark, head or reservation', async () => {
    const { lineage: closed } = await closeIt();
    const slotId = newSlotId();
    const { key, recoveryToken: token } = await client.obtain({ intent: 'create', slotId });
    const late = { slotId, key };
    const status = { confirm: true, incarnation: lastBoot, head: head(3) };
    expect((await client.link(late, lineageKey, status)).lineage).toEqual(closed);
    const { json } = await client.submit(await client.prepare({ intent: 'recover', slotId, token }));
    expect(json['code']).toBe('SLOT_UNLINKED');
    expect((await client.keyStatus(late)).lineage).toBeUndefined();
    const close = { last: lastBoot, head: head(3) };
    const update = { incarnation: lastBoot, head: head(3), forget: [slotId], close };
    expect((await client.lineageUpdate(lineageKey, update)).lineage).toEqual(closed);
    expect((await client.lineageStatus(lineageKey)).lineage).toEqual(closed);
    expect(client.world.served).toEqual([client.account]);
    expect(living()).toBe(1);
  });

  it('lasts 90 days, then the lineage is unknown', async () => {
    await closeIt();
    await client.world.clock.advance(90 * DAY_MS - 1);
    expect((await client.lineageStatus(lineageKey)).lineage?.closed).toBe(true);
    await client.world.clock.advance(1);
    const { reply } = client.sendMac('lineage-status', { lineageKey }, NO_CONTENT);
    expect((await reply).json['code']).toBe('LINEAGE_UNKNOWN');
    expect(client.world.vault.lineageCount).toBe(0);
  });
});

describe('requests that are refused', () => {
  const routes = [
    ['lineage-status', () => NO_CONTENT],
    [
      'lineage-update',
      () =>
        lineageUpdateContent({
          incarnation: boot(1, 1),
          head: head(1),
          forget: [newSlotId()],
          close: closing,
        }),
    ],
  ] as const;

  it.each(routes)('%s: an unknown lineage and a wrong MAC look the same', async (route, content) => {
    const stranger = new ProtocolClient(client.world, clientAccount(2));
    const lineageId = toPrefixedHex(lineageIdOf(lineageKey));
    const holder = { lineageKey: otherLineageKey };
    const zeros = new SecretBytes(new Uint8Array(32));
    const replies = [
      await client.sendMac(route, holder, content()).reply,
      // The key of another lineage, under the name of this one.
      await client.sendMac(route, holder, content(), { lineageId }).reply,
      await stranger.sendMac(route, { lineageKey }, content()).reply,
      // What an unknown lineage is compared with has zeros for a key.
      await client.sendMac(route, { lineageKey: zeros }, content()).reply,
      await client.sendMac(route, holder, content(), {}, 1).reply,
      await client.sendMac(route, holder, content(), { lineageId }, 1).reply,
    ];
    const shown = replies.map(({ status, json: { instance: _, ...rest } }) =>
      JSON.stringify({ status, rest }),
    );
    expect(new Set(shown).size).toBe(1);
    expect(replies[0]).toMatchObject({ status: 404, json: { code: 'LINEAGE_UNKNOWN' } });
    expect((await client.keyStatus(slot)).lineage).toMatchObject({ shown: NO_INCARNATION, closed: false });
  });

  it.each(routes)('%s: the MAC covers every field', async (route, content) => {
    const { bytes, wire } = content();
    const spoiled: Record<string, unknown>[] = [
      { timestampMs: client.world.clock.nowMs() + 1 },
      { random: `0x${'00'.repeat(16)}` },
      ...Object.entries(wire).map(([name, value]) => ({ [name]: anotherValue(value) })),
    ];
    for (const changes of spoiled) {
      const { json } = await client.sendMac(route, { lineageKey }, { bytes, wire }, changes).reply;
      expect({ changes, code: json['code'] }).toEqual({ changes, code: 'LINEAGE_UNKNOWN' });
    }
    for (const field of ['head', 'close'].filter((name) => name in wire)) {
      const without = Object.fromEntries(Object.entries(wire).filter(([name]) => name !== field));
      const { reply } = client.sendMac(route, { lineageKey }, { bytes, wire: without });
      expect((await reply).json['code']).toBe('LINEAGE_UNKNOWN');
    }
    expect(living()).toBe(1);
  });

  it.each(routes)(
    '%s: what was made for the other route, another account or another server',
    async (route, content) => {
      const other = route === 'lineage-status' ? 'lineage-update' : 'lineage-status';
      const elsewhere = new ProtocolClient(keyServerWorld({ seed: 2, clock: client.world.clock }));
      await elsewhere.obtainLinked(lineageKey);
      const stranger = new ProtocolClient(client.world, clientAccount(2));
      await stranger.obtainLinked(lineageKey);
      const { accountId } = stranger.prepareMac(route, { lineageKey }, content()).body;
      const bodies = [
        client.prepareMac(other, { lineageKey }, content()).body,
        elsewhere.prepareMac(route, { lineageKey }, content()).body,
        { ...client.prepareMac(route, { lineageKey }, content()).body, accountId },
      ];
      for (const body of bodies) {
        const { json } = await client.world.send('POST', `/${route}`, body);
        expect(json['code']).toBe('LINEAGE_UNKNOWN');
      }
      expect(living()).toBe(2);
    },
  );

  it('a server key opens no lineage, and a lineage key no slot', async () => {
    const asLineage = await client.sendMac('lineage-status', { lineageKey: slot.key }, NO_CONTENT, {
      lineageId: toPrefixedHex(lineageIdOf(lineageKey)),
    }).reply;
    expect(asLineage.json['code']).toBe('LINEAGE_UNKNOWN');
    await expect(client.forget({ slotId: slot.slotId, key: lineageKey })).rejects.toThrow('KEY_UNKNOWN');
  });

  it.each(routes)('%s: a timestamp with an error of more than a minute', async (route, content) => {
    const now = client.world.clock.nowMs();
    for (const off of [-60_001, 60_001]) {
      const reply = await client.sendMac(route, { lineageKey }, content(), {}, now + off).reply;
      expect(reply).toMatchObject({ status: 401, json: { code: 'TIMESTAMP_STALE', field: 'timestampMs' } });
    }
    expect((await client.keyStatus(slot)).lineage).toMatchObject({ shown: NO_INCARNATION, closed: false });
    for (const off of [-60_000, 60_000]) {
      expect((await client.sendMac(route, { lineageKey }, content(), {}, now + off).reply).status).toBe(200);
    }
  });

  it('a captured update that is sent again changes nothing more', async () => {
    const content = lineageUpdateContent({ incarnation: boot(2, 1), head: head(2), forget: [slot.slotId] });
    const { body, reply } = client.sendMac('lineage-update', { lineageKey }, content);
    await reply;
    const { slotId } = slot;
    const { key } = await client.obtain({ intent: 'create', slotId });
    await client.link({ slotId, key }, lineageKey, { incarnation: boot(3, 1) });
    const again = await client.world.send('POST', '/lineage-update', body);
    expect(again.status).toBe(200);
    expect((await client.lineageStatus(lineageKey)).lineage).toMatchObject({
      shown: boot(3, 1),
      slots: [slot.slotId],
    });
  });

  it.each([
    ['lineageId', `0x${'00'.repeat(15)}`],
    ['incarnation', 2 ** 53],
    ['incarnation', -1],
    ['bootId', `0x${'00'.repeat(8)}`],
    ['head', { sequence: 2 ** 53, digest: `0x${'00'.repeat(32)}` }],
    ['head', { sequence: 1, digest: `0x${'00'.repeat(16)}` }],
    ['forget', ['0x00']],
    ['forget', undefined],
    ['close', true],
    ['close', { incarnation: 1, bootId: `0x${'00'.repeat(16)}` }],
    ['close', { incarnation: 1, head: { sequence: 1, digest: `0x${'00'.repeat(32)}` } }],
    ['slotId', `0x${'00'.repeat(16)}`],
    ['random', `0x${'00'.repeat(15)}`],
  ])('lineage-update with %s = %j', async (field, value) => {
    const content = lineageUpdateContent({});
    const { json } = await client.sendMac('lineage-update', { lineageKey }, content, { [field]: value })
      .reply;
    expect(json['code']).toBe('FIELD_INVALID');
  });

  it('lineage-status with a field that its MAC would not cover', async () => {
    const { reply } = client.sendMac('lineage-status', { lineageKey }, NO_CONTENT, { close: true });
    expect((await reply).json['code']).toBe('FIELD_INVALID');
  });
});

function anotherValue(value: unknown): unknown {
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return value === Number.MAX_SAFE_INTEGER ? 0 : value + 1;
  if (typeof value === 'string') return `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`;
  if (Array.isArray(value)) return value.slice(1);
  const record = value as Record<string, unknown>;
  const [name = ''] = Object.keys(record);
  return { ...record, [name]: anotherValue(record[name]) };
}
