import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import type { SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { PLAIN_SLOT_ID } from '../../../src/protocol/report-data.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { clientAccount, newSlotId, ProtocolClient, type Wish } from '../../support/protocol-client.ts';

const outOfDate = { teeTcbSvn: Uint8Array.of(5, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) };
const otherImage = { mrTd: new Uint8Array(48).fill(7) };
const former = { mrConfigId: new Uint8Array(48).fill(9) };

/** Two accounts at one server: the first has the key that both ask for, the second has none. */
async function pair(slotId: SlotId) {
  const world = keyServerWorld({ trust: { acceptedTrustHashes: [toPrefixedHex(former.mrConfigId)] } });
  const holder = new ProtocolClient(world, clientAccount(1));
  const plain = slotId === PLAIN_SLOT_ID;
  const { key } = await holder.obtain({ ...(plain ? {} : { intent: 'create', slotId }), platform: 1 });
  if (!plain) await holder.keyStatus({ slotId, key }, { confirm: true });
  return { holder, stranger: new ProtocolClient(world, clientAccount(2)) };
}

async function answer(client: ProtocolClient, wish: Wish): Promise<unknown> {
  const { status, json } = await client.submit(await client.prepare(wish));
  return { status, code: json['code'], detail: json['detail'], hint: json['hint'] };
}

describe('a machine that is refused learns nothing about the keys of others', () => {
  it.each([
    ['another image', otherImage],
    ['another image with an out-of-date TCB', { ...otherImage, ...outOfDate }],
    ['an unknown trust section', { mrConfigId: new Uint8Array(48).fill(8) }],
    ['a debug TD', { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) }],
  ])('%s gets the same refusal whether there is a key or not', async (_what, body) => {
    for (const slotId of [PLAIN_SLOT_ID, newSlotId()]) {
      const { holder, stranger } = await pair(slotId);
      const [present, absent] = [
        await answer(holder, { intent: 'recover', slotId, platform: 2, body }),
        await answer(stranger, { intent: 'recover', slotId, platform: 2, body }),
      ];
      expect(present).toEqual(absent);
      expect(present).toMatchObject({ status: 403 });
    }
  });

  it('the section under which a key was made does not help without the proof of the key', async () => {
    const server = keyServerWorld({ seed: 4 });
    const slotId = newSlotId();
    const maker = new ProtocolClient(server);
    const { recoveryToken } = await maker.obtain({ intent: 'create', slotId });
    const body = former;
    const recover = { intent: 'recover', slotId, body } as const;
    expect(await answer(maker, recover)).toMatchObject({ code: 'TRUST_SECTION_REFUSED' });
    expect(await answer(maker, { ...recover, token: recoveryToken })).toMatchObject({
      code: 'TRUST_SECTION_REFUSED',
    });
  });
});

describe('recover counts against its platform before its key is looked up', () => {
  it.each([PLAIN_SLOT_ID, newSlotId()])('asking for unknown keys is limited', async (slotId) => {
    const world = keyServerWorld({ platformRate: { burst: 3, perSecond: 0.1 } });
    const client = new ProtocolClient(world);
    const codes = [];
    for (let times = 0; times < 4; times++) {
      const { json } = await client.submit(await client.prepare({ intent: 'recover', slotId }));
      codes.push(json['code']);
    }
    expect(codes).toEqual(['KEY_UNKNOWN', 'KEY_UNKNOWN', 'KEY_UNKNOWN', 'PLATFORM_LIMIT']);
  });

  it('a machine that is refused uses up no limit', async () => {
    const world = keyServerWorld({ platformRate: { burst: 1, perSecond: 0.1 } });
    const client = new ProtocolClient(world);
    await client.submit(await client.prepare({ intent: 'recover', body: otherImage }));
    expect((await client.obtain()).created).toBe(true);
  });
});
