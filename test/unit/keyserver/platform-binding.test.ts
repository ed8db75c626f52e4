import { beforeEach, describe, expect, it } from 'vitest';
import type { Incarnation } from '../../../src/lineage/incarnation.ts';
import { noPlatformLists, type PlatformLists } from '../../../src/trust/platform-lists.ts';
import type { PlatformPolicy } from '../../../src/trust/trust-section.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { hashOf, listsOf } from '../../support/platform-worlds.ts';
import {
  type LinkedHolder,
  lineageKeyNumber,
  newSlotId,
  ProtocolClient,
} from '../../support/protocol-client.ts';

const HOME = 1;
const AWAY = 2;
const THIRD = 3;
const lineageKey = lineageKeyNumber(1);
const boot = (number: number): Incarnation => ({ number, bootId: new Uint8Array(16).fill(number) });

let lists: PlatformLists;
let client: ProtocolClient;
let slot: LinkedHolder;

/** A server with these rules, and a slot that a node on {@link HOME} made there. */
async function begin(platforms: Partial<PlatformPolicy> = {}): Promise<void> {
  lists = noPlatformLists;
  const policy = { recover: 'bound', servers: 'registered', clients: 'any', ...platforms } as const;
  client = new ProtocolClient(keyServerWorld({ platforms: policy, platformLists: () => lists }));
  slot = await client.obtainLinked(lineageKey, { platform: HOME });
  await client.claim(slot, boot(1));
}

/** What a request for the slot from a platform brings: its key, or a refusal. */
async function ask(
  platform: number,
  intent: 'recover' | 'create' = 'recover',
  from = slot,
): Promise<unknown> {
  const { slotId, token } = from;
  const { status, json } = await client.submit(await client.prepare({ intent, slotId, token, platform }));
  return status === 200 ? 'key' : json['code'];
}

/** Another slot of the same lineage. */
async function secondSlot(platform = HOME): Promise<LinkedHolder> {
  const slotId = newSlotId();
  const { key, recoveryToken: token } = await client.obtain({ intent: 'create', slotId, platform });
  await client.link({ slotId, key }, lineageKey, { confirm: true, incarnation: boot(1) });
  return { slotId, key, token };
}

const move = (from = HOME, to = AWAY, account = client.account) =>
  listsOf(client.world.pki, { moves: [{ account, from, to }] });

describe('a key that is bound to its platform', () => {
  beforeEach(() => begin());

  it('goes back to that platform', async () => {
    expect(await ask(HOME)).toBe('key');
  });

  it('goes to no other one, although the recovery token is right', async () => {
    expect(await ask(AWAY)).toBe('PLATFORM_REFUSED');
  });

  it('is not given to another one by intent create either', async () => {
    expect(await ask(HOME, 'create')).toBe('key');
    expect(await ask(AWAY, 'create')).toBe('PLATFORM_REFUSED');
  });

  it('has its platform named in answers to its owner', async () => {
    const { extensions } = await client.keyStatus(slot, { incarnation: boot(1) });
    expect(extensions.get('platform')).toEqual(hashOf(client.world.pki, HOME));
    expect((await client.claim(slot, boot(1))).extensions.get('platform')).toBeDefined();
  });

  it('is not shown to a request without the token: it learns nothing of the platform', async () => {
    const { json } = await client.submit(
      await client.prepare({ intent: 'recover', slotId: slot.slotId, platform: AWAY }),
    );
    expect(json['code']).toBe('RECOVERY_PROOF_REQUIRED');
  });

  it('is not rebound by a mark of another platform that got no key', async () => {
    await ask(AWAY);
    await client.claim(slot, boot(5));
    expect(await ask(HOME)).toBe('key');
    expect(await ask(AWAY)).toBe('PLATFORM_REFUSED');
  });
});

describe('a move', () => {
  beforeEach(() => begin());

  it('gives the key to the new platform; its mark takes it from the former one', async () => {
    const second = await secondSlot();
    lists = move();
    expect(await ask(HOME)).toBe('key');
    expect(await ask(AWAY)).toBe('key');
    await client.claim(slot, boot(2));
    expect(await ask(AWAY)).toBe('key');
    expect(await ask(HOME)).toBe('PLATFORM_REFUSED');
    // All slots of the lineage, also one that was not asked for.
    expect(await ask(HOME, 'recover', second)).toBe('PLATFORM_REFUSED');
    lists = noPlatformLists;
    expect(await ask(AWAY)).toBe('key');
    expect(await ask(HOME)).toBe('PLATFORM_REFUSED');
  });

  it('is not ended by the new platform, which asks again', async () => {
    lists = move();
    await ask(AWAY);
    expect(await ask(AWAY)).toBe('key');
    await client.claim(slot, boot(2));
    expect(await ask(HOME)).toBe('PLATFORM_REFUSED');
  });

  it('is not ended by a slot that the new platform made before its mark', async () => {
    lists = move();
    await ask(AWAY);
    expect(await ask(AWAY, 'recover', await secondSlot(AWAY))).toBe('key');
    await client.claim(slot, boot(2));
    expect(await ask(HOME)).toBe('PLATFORM_REFUSED');
  });

  it('is completed by key-status too', async () => {
    lists = move();
    await ask(AWAY);
    await client.keyStatus(slot, { confirm: true, incarnation: boot(2) });
    expect(await ask(HOME)).toBe('PLATFORM_REFUSED');
  });

  it('is not completed by the mark of the former instance', async () => {
    lists = move();
    await ask(AWAY);
    await client.claim(slot, boot(1));
    expect(await ask(HOME)).toBe('key');
  });

  it('that failed costs nothing: the next boot on the former platform keeps its keys', async () => {
    const second = await secondSlot();
    lists = move();
    expect(await ask(AWAY)).toBe('key');
    expect(await ask(HOME)).toBe('key');
    await client.claim(slot, boot(2));
    expect(await ask(HOME)).toBe('key');
    expect(await ask(HOME, 'recover', second)).toBe('key');
    // The move is still allowed, and can be tried again.
    expect(await ask(AWAY)).toBe('key');
    await client.claim(slot, boot(3));
    expect(await ask(HOME)).toBe('PLATFORM_REFUSED');
  });

  it('that failed gives the former platform no slot that the new one made', async () => {
    lists = move();
    await ask(AWAY);
    const made = await secondSlot(AWAY);
    expect(await ask(HOME)).toBe('key');
    await client.claim(slot, boot(2));
    expect(await ask(HOME, 'recover', made)).toBe('PLATFORM_REFUSED');
    expect(await ask(AWAY, 'recover', made)).toBe('key');
  });

  it('is not begun by a request that it does not allow', async () => {
    lists = move();
    expect(await ask(THIRD)).toBe('PLATFORM_REFUSED');
    await client.claim(slot, boot(2));
    expect(await ask(HOME)).toBe('key');
  });

  it('of another account changes nothing', async () => {
    lists = move(HOME, AWAY, client.world.account);
    expect(await ask(AWAY)).toBe('PLATFORM_REFUSED');
  });
});

describe('endorsed platforms', () => {
  it('recover: endorsed gives the key to every platform of the list, and to no other', async () => {
    await begin({ recover: 'endorsed' });
    lists = listsOf(client.world.pki, { endorsed: [AWAY] });
    expect([await ask(AWAY), await ask(HOME), await ask(THIRD)]).toEqual([
      'key',
      'PLATFORM_NOT_ENDORSED',
      'PLATFORM_NOT_ENDORSED',
    ]);
  });

  it('clients: endorsed makes no new key for another platform; a bound key stays', async () => {
    await begin();
    const world = keyServerWorld({
      platforms: { recover: 'bound', servers: 'registered', clients: 'endorsed' },
      platformLists: () => lists,
    });
    client = new ProtocolClient(world);
    lists = listsOf(world.pki, { endorsed: [HOME] });
    slot = await client.obtainLinked(lineageKey, { platform: HOME });
    for (const wish of [{ intent: 'create', slotId: newSlotId() }, { intent: 'get-or-create' }] as const) {
      const { json } = await client.submit(await client.prepare({ ...wish, platform: AWAY }));
      expect(json['code']).toBe('PLATFORM_NOT_ENDORSED');
    }
    lists = noPlatformLists;
    expect(await ask(HOME)).toBe('key');
  });

  it('recover: any gives the key to any platform but a revoked one', async () => {
    await begin({ recover: 'any' });
    expect(await ask(AWAY)).toBe('key');
    lists = listsOf(client.world.pki, { revoked: [AWAY] });
    expect([await ask(AWAY), await ask(THIRD)]).toEqual(['PLATFORM_REVOKED', 'key']);
  });

  it('a revoked platform is refused before its slot is looked up', async () => {
    await begin();
    lists = listsOf(client.world.pki, { revoked: [AWAY] });
    const { json } = await client.submit(
      await client.prepare({ intent: 'recover', slotId: newSlotId(), token: slot.token, platform: AWAY }),
    );
    expect(json['code']).toBe('PLATFORM_REVOKED');
  });
});
