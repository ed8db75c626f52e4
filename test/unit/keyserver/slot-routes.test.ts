import { beforeEach, describe, expect, it } from 'vitest';
import type { SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import {
  type Incarnation,
  NO_INCARNATION,
  NO_RESERVATION,
  type Reservation,
} from '../../../src/lineage/incarnation.ts';
import { noExtensions } from '../../../src/protocol/extensions.ts';
import type { Deposit } from '../../../src/protocol/lineage-state.ts';
import { PLAIN_SLOT_ID } from '../../../src/protocol/report-data.ts';
import type { StoreReport } from '../../../src/protocol/slot-messages.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  claimContent,
  clientAccount,
  keyStatusContent,
  type LinkedHolder,
  lineageKeyNumber,
  newSlotId,
  ProtocolClient,
  reserveContent,
  type SlotHolder,
} from '../../support/protocol-client.ts';

const lineageKey = lineageKeyNumber(1);
const otherLineageKey = lineageKeyNumber(2);
const LARGEST = Number.MAX_SAFE_INTEGER;
let client: ProtocolClient;
let slot: LinkedHolder;

async function createUnlinked(account = client): Promise<LinkedHolder> {
  const slotId = newSlotId();
  const { key, recoveryToken: token } = await account.obtain({ intent: 'create', slotId });
  return { slotId, key, token };
}

beforeEach(async () => {
  client = new ProtocolClient(keyServerWorld());
  slot = await createUnlinked();
});

const boot = (number: number, byte: number): Incarnation => ({
  number,
  bootId: new Uint8Array(16).fill(byte),
});
const wish = (number: number, byte: number): Reservation => ({ number, boot: new Uint8Array(16).fill(byte) });
const head = (sequence: number): Deposit => ({ sequence, digest: new Uint8Array(32).fill(sequence % 256) });
const report: StoreReport = { threshold: 3, slots: 5, live: 3 };
/** A lineage that nothing was told about, with these slots. */
const fresh = (...slots: readonly SlotId[]) => ({
  reserved: NO_RESERVATION,
  shown: NO_INCARNATION,
  head: undefined,
  slots,
  closed: false,
});
const reportOf = ({ slotId }: SlotHolder): StoreReport | undefined =>
  client.world.vault.find(client.account, slotId, client.world.clock.nowMs())?.report;
const isConfirmed = ({ slotId }: SlotHolder): boolean | undefined =>
  client.world.vault.find(client.account, slotId, client.world.clock.nowMs())?.confirmed;
const recover = async ({ slotId, token }: LinkedHolder) =>
  client.submit(await client.prepare({ intent: 'recover', slotId, token }));

describe('key-status', () => {
  it('authenticates both sides, and returns the identity and the time of the server', async () => {
    expect(await client.keyStatus(slot)).toEqual({
      instanceId: client.world.keyServer.identity.instanceId,
      serverTimeMs: client.world.clock.nowMs(),
      lineage: undefined,
      draining: false,
      extensions: noExtensions,
    });
  });

  it('an unconfirmed key is removed after an hour, a confirmed key stays', async () => {
    const kept = await client.obtainLinked();
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
    await client.link(slot, lineageKey);
    await client.world.clock.advance(3_000_000);
    await client.obtain({ intent: 'recover', slotId: slot.slotId, token: slot.token });
    await client.world.clock.advance(3_000_000);
    await client.keyStatus(slot, { confirm: true });
  });
});

describe('linking', () => {
  it('makes the record of the lineage; the answer and every grant show it', async () => {
    const expected = fresh(slot.slotId);
    expect((await client.link(slot, lineageKey)).lineage).toEqual(expected);
    expect((await client.keyStatus(slot)).lineage).toEqual(expected);
    const { slotId, token } = slot;
    expect((await client.obtain({ intent: 'recover', slotId, token })).lineage).toEqual(expected);
    expect((await client.obtain({ intent: 'create', slotId, token })).lineage).toEqual(expected);
    expect(client.world.vault.lineageCount).toBe(1);
  });

  it('takes mark, head, report and confirmation of the same request', async () => {
    const from = boot(7, 1);
    const { lineage } = await client.link(slot, lineageKey, {
      confirm: true,
      incarnation: from,
      head: head(4),
      report,
    });
    expect(lineage).toEqual({
      reserved: { number: 7, boot: from.bootId },
      shown: from,
      head: { ...head(4), incarnation: from },
      slots: [slot.slotId],
      closed: false,
    });
    expect([isConfirmed(slot), reportOf(slot)]).toEqual([true, report]);
  });

  it('a slot is confirmed and recovered only when it is linked', async () => {
    const refused = await client.sendMac('key-status', slot, keyStatusContent({ confirm: true, report }))
      .reply;
    expect(refused).toMatchObject({ status: 409, json: { code: 'SLOT_UNLINKED' } });
    expect(await recover(slot)).toMatchObject({ status: 409, json: { code: 'SLOT_UNLINKED' } });
    expect([isConfirmed(slot), reportOf(slot), client.world.served]).toEqual([false, undefined, []]);
    await client.keyStatus(slot, { report });
    expect(reportOf(slot)).toBeUndefined();
    await client.link(slot, lineageKey, { confirm: true });
    expect((await recover(slot)).status).toBe(200);
  });

  it('a refused recovery does not give an unlinked slot another hour', async () => {
    await client.world.clock.advance(3_599_999);
    await recover(slot);
    await client.world.clock.advance(1);
    expect((await recover(slot)).json['code']).toBe('KEY_UNKNOWN');
  });

  it('a stranger does not learn whether a slot is linked', async () => {
    const linked = await client.obtainLinked();
    const answers = [];
    for (const { slotId } of [slot, linked]) {
      for (const token of [undefined, new SecretBytes(new Uint8Array(32))]) {
        const { status, json } = await recover({ slotId, key: slot.key, token });
        answers.push({ status, code: json['code'], detail: json['detail'] });
      }
    }
    expect(answers.map(({ code }) => code)).not.toContain('SLOT_UNLINKED');
    expect(answers.slice(0, 2)).toEqual(answers.slice(2));
  });

  it('again with the same lineage changes nothing; with another one it is refused, and makes no record', async () => {
    await client.link(slot, lineageKey, { incarnation: boot(1, 1) });
    expect((await client.link(slot, lineageKey, { incarnation: boot(1, 1) })).lineage?.slots).toEqual([
      slot.slotId,
    ]);
    const status = { confirm: true, incarnation: boot(2, 1), head: head(1), report };
    const content = keyStatusContent({ ...status, lineage: client.sealed(slot, otherLineageKey) });
    const refused = await client.sendMac('key-status', slot, content).reply;
    expect(refused).toMatchObject({ status: 409, json: { code: 'LINEAGE_OTHER', field: 'lineage' } });
    expect(client.world.vault.lineageCount).toBe(1);
    expect([isConfirmed(slot), reportOf(slot)]).toEqual([false, undefined]);
    expect((await client.keyStatus(slot)).lineage).toMatchObject({ shown: boot(1, 1), head: undefined });
  });

  it.each([
    ['of another slot', async () => client.sealed({ ...slot, slotId: newSlotId() }, lineageKey)],
    [
      'under another key',
      async () => client.sealed({ ...slot, key: new SecretBytes(new Uint8Array(32)) }, lineageKey),
    ],
    [
      'of another account',
      async () => new ProtocolClient(client.world, clientAccount(2)).sealed(slot, lineageKey),
    ],
    [
      'of another server',
      async () => new ProtocolClient(keyServerWorld({ seed: 2 })).sealed(slot, lineageKey),
    ],
  ] as const)('a lineage key sealed %s does not link', async (_what, seal) => {
    const content = keyStatusContent({ confirm: true, lineage: await seal() });
    const refused = await client.sendMac('key-status', slot, content).reply;
    expect(refused).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID', field: 'lineage' } });
    expect([client.world.vault.lineageCount, isConfirmed(slot)]).toEqual([0, false]);
  });

  it('one bit of the sealed lineage key changed, or its end cut off, does not link', async () => {
    const sealed = client.sealed(slot, lineageKey);
    for (const at of [0, 24, sealed.length - 1]) {
      const spoiled = new Uint8Array(sealed);
      spoiled[at] = (spoiled[at] ?? 0) ^ 1;
      const { json } = await client.sendMac('key-status', slot, keyStatusContent({ lineage: spoiled })).reply;
      expect(json['code']).toBe('FIELD_INVALID');
    }
    const short = keyStatusContent({ lineage: sealed.subarray(0, -1) });
    expect((await client.sendMac('key-status', slot, short).reply).json['code']).toBe('FIELD_INVALID');
    expect(client.world.vault.lineageCount).toBe(0);
  });

  it('two slots at once come to one record, which shows the newest first', async () => {
    const other = await createUnlinked();
    await Promise.all([client.link(slot, lineageKey), client.link(other, lineageKey)]);
    expect((await client.keyStatus(slot)).lineage).toEqual(fresh(other.slotId, slot.slotId));
    await client.claim(other, boot(3, 1));
    expect((await client.keyStatus(slot)).lineage?.shown).toEqual(boot(3, 1));
    expect(client.world.vault.lineageCount).toBe(1);
  });

  it('two lineages of one account are apart', async () => {
    const other = await createUnlinked();
    await client.link(slot, lineageKey, { incarnation: boot(3, 1), head: head(3) });
    expect((await client.link(other, otherLineageKey)).lineage).toEqual(fresh(other.slotId));
    expect((await client.keyStatus(slot)).lineage).toMatchObject({ shown: boot(3, 1), slots: [slot.slotId] });
    expect(client.world.vault.lineageCount).toBe(2);
  });

  it('the same lineage key under another account is another lineage', async () => {
    const stranger = new ProtocolClient(client.world, clientAccount(2));
    await client.link(slot, lineageKey, { incarnation: boot(3, 1) });
    const theirs = await createUnlinked(stranger);
    expect((await stranger.link(theirs, lineageKey)).lineage).toEqual(fresh(theirs.slotId));
    await stranger.claim(theirs, boot(9, 9));
    expect((await client.keyStatus(slot)).lineage).toMatchObject({ shown: boot(3, 1), slots: [slot.slotId] });
  });

  it('slots of one lineage may come from two platforms', async () => {
    await client.obtainLinked(lineageKey, { platform: 1 });
    const second = await client.obtainLinked(lineageKey, { platform: 2 });
    expect((await client.keyStatus(second)).lineage?.slots).toHaveLength(2);
    expect(client.world.vault.lineageCount).toBe(1);
  });

  it('a plain key has no lineage and is confirmed without one', async () => {
    const { key } = await client.obtain();
    const plain = { slotId: PLAIN_SLOT_ID, key };
    const content = keyStatusContent({ confirm: true, lineage: client.sealed(plain, lineageKey) });
    const refused = await client.sendMac('key-status', plain, content).reply;
    expect(refused).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID', field: 'lineage' } });
    expect(client.world.vault.lineageCount).toBe(0);
    expect(await client.keyStatus(plain, { confirm: true, report })).toMatchObject({ lineage: undefined });
    expect(reportOf(plain)).toEqual(report);
    expect(await client.reserve(plain, wish(1, 1))).toMatchObject({ lineage: undefined });
    expect(await client.claim(plain, boot(1, 1))).toMatchObject({ lineage: undefined });
    expect(await client.forget(plain)).toMatchObject({ erased: true, lineage: undefined });
  });
});

describe('an older instance', () => {
  it('neither links nor confirms, and deposits nothing; the answer shows it the newer one', async () => {
    const newer = await client.obtainLinked();
    await client.claim(newer, boot(5, 5));
    const status = { confirm: true, incarnation: boot(5, 4), head: head(9), report };
    const { lineage } = await client.link(slot, lineageKey, status);
    expect(lineage).toMatchObject({ shown: boot(5, 5), head: undefined, slots: [newer.slotId] });
    expect([isConfirmed(slot), reportOf(slot)]).toEqual([false, undefined]);
    expect((await client.keyStatus(slot)).lineage).toBeUndefined();
    expect((await recover(slot)).json['code']).toBe('SLOT_UNLINKED');
  });

  it('does not confirm a slot that is linked, and its report does not count', async () => {
    await client.link(slot, lineageKey, { incarnation: boot(4, 1) });
    await client.claim(slot, boot(5, 1));
    const { lineage } = await client.keyStatus(slot, { confirm: true, incarnation: boot(4, 1), report });
    expect(lineage?.shown).toEqual(boot(5, 1));
    expect([isConfirmed(slot), reportOf(slot), client.world.served]).toEqual([false, undefined, []]);
    await client.keyStatus(slot, { confirm: true, incarnation: boot(5, 1), report });
    expect([isConfirmed(slot), reportOf(slot)]).toEqual([true, report]);
  });

  it('deposited heads only grow: by their writer, then by sequence', async () => {
    await client.link(slot, lineageKey);
    const deposit = async (incarnation: Incarnation, value: Deposit) =>
      (await client.keyStatus(slot, { incarnation, head: value })).lineage?.head;
    const first = { ...head(5), incarnation: boot(1, 1) };
    expect(await deposit(boot(1, 1), head(5))).toEqual(first);
    expect(await deposit(boot(1, 1), head(4))).toEqual(first);
    expect(await deposit(boot(1, 1), { ...head(5), digest: new Uint8Array(32) })).toEqual(first);
    const second = { ...head(0), incarnation: boot(2, 1) };
    expect(await deposit(boot(2, 1), head(0))).toEqual(second);
    expect(await deposit(boot(1, 1), head(9))).toEqual(second);
    const { slotId, token } = slot;
    const grant = await client.obtain({ intent: 'recover', slotId, token });
    expect(grant.lineage?.head).toEqual(second);
  });

  it('the largest numbers are carried exactly', async () => {
    await client.link(slot, lineageKey);
    const most = boot(LARGEST, 255);
    await client.reserve(slot, wish(LARGEST, 255));
    const { lineage } = await client.keyStatus(slot, { incarnation: most, head: head(LARGEST) });
    expect(lineage).toMatchObject({
      reserved: wish(LARGEST, 255),
      shown: most,
      head: { ...head(LARGEST), incarnation: most },
    });
    expect((await client.claim(slot, boot(LARGEST - 1, 255))).lineage?.shown).toEqual(most);
    for (const [route, field] of [
      ['claim', 'incarnation'],
      ['reserve', 'incarnation'],
    ] as const) {
      const content = route === 'claim' ? claimContent(most) : reserveContent(wish(LARGEST, 1));
      const { json } = await client.sendMac(route, slot, content, { [field]: 2 ** 53 }).reply;
      expect(json['code']).toBe('FIELD_INVALID');
    }
  });
});

describe('accounts that the server notifies after a restart', () => {
  it('include an account that confirmed a key, reported once for each key', async () => {
    expect(client.world.served).toEqual([]);
    await client.link(slot, lineageKey);
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

describe('reserve', () => {
  beforeEach(() => client.link(slot, lineageKey, { incarnation: boot(2, 1) }));

  it('gives a number to the first boot that wants it, and larger ones to others', async () => {
    const reserve = async (value: Reservation) => (await client.reserve(slot, value)).lineage?.reserved;
    expect(await reserve(wish(3, 7))).toEqual(wish(3, 7));
    expect(await reserve(wish(3, 7))).toEqual(wish(3, 7));
    expect(await reserve(wish(3, 8))).toEqual(wish(3, 7));
    expect(await reserve(wish(2, 9))).toEqual(wish(3, 7));
    expect(await reserve(wish(4, 8))).toEqual(wish(4, 8));
  });

  it('shows no incarnation: only a claim does', async () => {
    const { lineage } = await client.reserve(slot, wish(9, 1));
    expect(lineage).toMatchObject({ reserved: wish(9, 1), shown: boot(2, 1) });
  });

  it('of an unlinked slot has no effect', async () => {
    const unlinked = await createUnlinked();
    expect((await client.reserve(unlinked, wish(1, 1))).lineage).toBeUndefined();
    expect(client.world.vault.lineageCount).toBe(1);
  });
});

describe('claim', () => {
  it('only grows: by number, then by boot id; the answer shows the newest', async () => {
    await client.link(slot, lineageKey);
    const claim = async (incarnation: Incarnation) => (await client.claim(slot, incarnation)).lineage?.shown;
    expect(await claim(boot(1, 5))).toEqual(boot(1, 5));
    expect(await claim(boot(1, 5))).toEqual(boot(1, 5));
    expect(await claim(boot(1, 4))).toEqual(boot(1, 5));
    expect(await claim(boot(1, 6))).toEqual(boot(1, 6));
    expect(await claim(boot(3, 1))).toEqual(boot(3, 1));
    expect(await claim(boot(2, 9))).toEqual(boot(3, 1));
    const { slotId, token } = slot;
    expect((await client.obtain({ intent: 'recover', slotId, token })).lineage?.shown).toEqual(boot(3, 1));
  });

  it('of an unlinked slot has no effect', async () => {
    expect((await client.claim(slot, boot(4, 1))).lineage).toBeUndefined();
    expect((await client.link(slot, lineageKey)).lineage?.shown).toEqual(NO_INCARNATION);
  });

  it('with number 0 shows nothing that would be newer than a real boot', async () => {
    await client.link(slot, lineageKey);
    expect((await client.claim(slot, boot(0, 255))).lineage?.shown).toEqual(boot(0, 255));
    expect((await client.claim(slot, boot(1, 0))).lineage?.shown).toEqual(boot(1, 0));
  });

  it('is not made by recover', async () => {
    await client.link(slot, lineageKey, { incarnation: boot(2, 1) });
    await recover(slot);
    expect((await client.keyStatus(slot)).lineage?.shown).toEqual(boot(2, 1));
  });
});

describe('forget', () => {
  it('erases the key and proves it; the key cannot be recovered afterwards, the lineage stays', async () => {
    await client.link(slot, lineageKey, { incarnation: boot(2, 1) });
    expect(await client.forget(slot, boot(2, 1))).toMatchObject({
      erased: true,
      lineage: { shown: boot(2, 1), slots: [], closed: false },
    });
    expect([client.world.vault.size, client.world.vault.lineageCount]).toEqual([0, 1]);
    expect(await recover(slot)).toMatchObject({ status: 404, json: { code: 'KEY_UNKNOWN' } });
    expect((await client.lineageStatus(lineageKey)).lineage?.shown).toEqual(boot(2, 1));
  });

  it('erases an unlinked slot', async () => {
    expect(await client.forget(slot)).toMatchObject({ erased: true, lineage: undefined });
    expect(client.world.vault.size).toBe(0);
  });

  it('of an older instance erases nothing: a newer one needs the key', async () => {
    await client.link(slot, lineageKey, { confirm: true, incarnation: boot(2, 1) });
    await client.claim(slot, boot(3, 1));
    expect(await client.forget(slot, boot(2, 255))).toMatchObject({
      erased: false,
      lineage: { shown: boot(3, 1), slots: [slot.slotId] },
    });
    expect(client.world.forgotten).toEqual([]);
    expect((await recover(slot)).status).toBe(200);
    expect(await client.forget(slot, boot(4, 1))).toMatchObject({ erased: true });
  });

  it('keeps the account while the server holds another key of it', async () => {
    const newer = await client.obtainLinked();
    await client.forget(slot);
    expect(client.world.forgotten).toEqual([]);
    await client.forget(newer);
    expect(client.world.forgotten).toEqual([client.account]);
  });

  it('is refused when it is sent twice', async () => {
    await client.forget(slot);
    const again = await client.sendMac('forget', slot, claimContent(NO_INCARNATION)).reply;
    expect(again).toMatchObject({ status: 404, json: { code: 'KEY_UNKNOWN' } });
  });
});

describe('requests that are refused', () => {
  const routes = [
    [
      'key-status',
      () => keyStatusContent({ head: head(1), report, lineage: client.sealed(slot, lineageKey) }),
    ],
    ['reserve', () => reserveContent(wish(1, 1))],
    ['claim', () => claimContent(boot(1, 1))],
    ['forget', () => claimContent(boot(1, 1))],
  ] as const;

  it.each(routes)(
    '%s: an unknown key, a wrong MAC and another account look the same',
    async (route, content) => {
      const wrongKey = { ...slot, key: new SecretBytes(new Uint8Array(32)) };
      const stranger = new ProtocolClient(client.world, clientAccount(2));
      const replies = [
        await client.sendMac(route, { ...slot, slotId: newSlotId() }, content()).reply,
        await client.sendMac(route, wrongKey, content()).reply,
        // What an unknown key is compared with has zeros for a key.
        await client.sendMac(route, { ...wrongKey, slotId: newSlotId() }, content()).reply,
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
      for (const field of ['head', 'report', 'lineage']) {
        const full = content();
        const without = Object.entries(full.wire).filter(([name]) => name !== field);
        const body = { bytes: full.bytes, wire: Object.fromEntries(without) };
        expect((await client.sendMac(route, slot, body).reply).json['code']).toBe('KEY_UNKNOWN');
      }
    }
    expect(client.world.vault.size).toBe(1);
  });

  it.each(routes)('%s: a MAC of another route is refused', async (route, content) => {
    const { body } = client.prepareMac(route === 'claim' ? 'forget' : 'claim', slot, content());
    expect((await client.world.send('POST', `/${route}`, body)).json['code']).toBe('KEY_UNKNOWN');
    expect(client.world.vault.size).toBe(1);
  });

  it.each(routes)('%s: a MAC for another server is refused', async (route, content) => {
    const elsewhere = new ProtocolClient(keyServerWorld({ seed: 2, clock: client.world.clock }));
    const { body } = elsewhere.prepareMac(route, slot, content());
    expect((await client.world.send('POST', `/${route}`, body)).json['code']).toBe('KEY_UNKNOWN');
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
    ['head', { sequence: 1 }],
    ['head', { sequence: -1, digest: `0x${'00'.repeat(32)}` }],
    ['head', { sequence: 1, digest: '0x00' }],
    ['head', { generation: 1, sequence: 1, digest: `0x${'00'.repeat(32)}` }],
    ['lineage', '0x00'],
    ['lineage', null],
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
