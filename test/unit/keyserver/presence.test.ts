import { describe, expect, it } from 'vitest';
import type { SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { bindRequest } from '../../../src/keyserver/handshake.ts';
import type { ChallengeIssuer } from '../../../src/protocol/challenge.ts';
import { decodeKeyRequest } from '../../../src/protocol/decode.ts';
import { PLAIN_SLOT_ID } from '../../../src/protocol/report-data.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { clientAccount, newSlotId, ProtocolClient, type Wish } from '../../support/protocol-client.ts';
import { codeOf } from '../../support/thrown.ts';

const outOfDate = { teeTcbSvn: Uint8Array.of(5, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) };
const otherImage = { mrTd: new Uint8Array(48).fill(7) };
const former = { mrConfigId: new Uint8Array(48).fill(9) };

/** Two accounts at one server: the first has the key that both ask for, the second has none. */
async function pair(slotId: SlotId) {
  const world = keyServerWorld({ trust: { acceptedTrustHashes: [toPrefixedHex(former.mrConfigId)] } });
  const holder = new ProtocolClient(world, clientAccount(1));
  const plain = slotId === PLAIN_SLOT_ID;
  if (plain) await holder.obtain({ platform: 1 });
  else await holder.obtainLinked(undefined, { slotId, platform: 1 });
  return { holder, stranger: new ProtocolClient(world, clientAccount(2)) };
}

async function answer(client: ProtocolClient, wish: Wish): Promise<unknown> {
  const { status, json } = await client.submit(await client.prepare(wish));
  return { status, code: json['code'], detail: json['detail'], hint: json['hint'] };
}

describe('a refused machine learns nothing about the keys of others', () => {
  it.each([
    ['another image', otherImage],
    ['another image with an out-of-date TCB', { ...otherImage, ...outOfDate }],
    ['an unknown trust section', { mrConfigId: new Uint8Array(48).fill(8) }],
    ['a debug TD', { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) }],
  ])('%s gets the same refusal with and without an existing key', async (_what, body) => {
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

  it('a former trust section is accepted only for the own key with its proof', async () => {
    // A server that accepts another section than when it made the keys.
    const { judge } = keyServerWorld({ seed: 4 });
    const made = keyServerWorld({ trust: { acceptedTrustHashes: [toPrefixedHex(former.mrConfigId)] } });
    const client = new ProtocolClient(made);
    const slotId = newSlotId();
    const { recoveryToken: token } = await client.obtain({ intent: 'create', slotId, body: former });
    await client.obtain({ body: former, platform: 1 });
    const verdict = async (wish: Wish): Promise<string> => {
      const { body } = await client.prepare({ intent: 'recover', body: former, ...wish });
      // The challenge is not the subject here.
      const challenges = { check: () => undefined } as unknown as ChallengeIssuer;
      const bound = bindRequest(decodeKeyRequest(body), made.account, challenges, 0);
      const verified = await made.evidenceVerifier.verifyRequest(bound);
      return codeOf(() => judge.judge(verified, made.vault));
    };
    expect(await verdict({ slotId, token })).toBe('none');
    expect(await verdict({ slotId })).toBe('TRUST_SECTION_REFUSED');
    const wrong = new SecretBytes(new Uint8Array(32).fill(7));
    expect(await verdict({ slotId, token: wrong })).toBe('TRUST_SECTION_REFUSED');
    expect(await verdict({ slotId: newSlotId(), token })).toBe('TRUST_SECTION_REFUSED');
    expect(await verdict({ platform: 1 })).toBe('none');
    expect(await verdict({ platform: 2 })).toBe('TRUST_SECTION_REFUSED');
    const otherSection = { mrConfigId: new Uint8Array(48).fill(8) };
    expect(await verdict({ slotId, token, body: otherSection })).toBe('TRUST_SECTION_REFUSED');
    expect(await verdict({ intent: 'create', slotId, token })).toBe('TRUST_SECTION_REFUSED');
  });
});

describe('recover counts for its platform before the key is looked up', () => {
  it.each([PLAIN_SLOT_ID, newSlotId()])('requests for unknown keys are limited', async (slotId) => {
    const world = keyServerWorld({ platformRate: { burst: 3, perSecond: 0.1 } });
    const client = new ProtocolClient(world);
    const codes = [];
    for (let times = 0; times < 4; times++) {
      const { json } = await client.submit(await client.prepare({ intent: 'recover', slotId }));
      codes.push(json['code']);
    }
    expect(codes).toEqual(['KEY_UNKNOWN', 'KEY_UNKNOWN', 'KEY_UNKNOWN', 'PLATFORM_LIMIT']);
  });

  it('a refused machine does not use up a limit', async () => {
    const world = keyServerWorld({ platformRate: { burst: 1, perSecond: 0.1 } });
    const client = new ProtocolClient(world);
    await client.submit(await client.prepare({ intent: 'recover', body: otherImage }));
    expect((await client.obtain()).created).toBe(true);
  });
});
