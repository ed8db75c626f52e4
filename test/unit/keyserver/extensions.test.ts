import { expect, it } from 'vitest';
import { macMatches, responseMac } from '../../../src/protocol/mac.ts';
import {
  decodeForgotten,
  decodeServerState,
  forgottenBytes,
  serverStateBytes,
} from '../../../src/protocol/slot-messages.ts';
import { type KeyServerWorldOptions, keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  claimContent,
  clientAccount,
  keyStatusContent,
  lineageKeyNumber,
  newSlotId,
  ProtocolClient,
} from '../../support/protocol-client.ts';

const said = new Map([
  ['fleet', Uint8Array.of(1, 2, 3)],
  ['ofTheFuture', Uint8Array.of(4)],
]);
/** A server that says something to the first account only. */
const options: KeyServerWorldOptions = {
  extensionsFor: (account) => (account[0] === clientAccount(1)[0] ? said : new Map()),
};

it('a grant and every MACed answer to the account carry its extensions', async () => {
  const client = new ProtocolClient(keyServerWorld(options));
  const slotId = newSlotId();
  const { key, extensions } = await client.obtain({ intent: 'create', slotId });
  expect(extensions).toEqual(said);
  const slot = { slotId, key };
  expect((await client.keyStatus(slot)).extensions).toEqual(said);
  expect((await client.claim(slot, { number: 1, bootId: new Uint8Array(16) })).extensions).toEqual(said);
  const boot = { number: 1, bootId: new Uint8Array(16) };
  const lineageKey = lineageKeyNumber(1);
  expect((await client.link(slot, lineageKey)).extensions).toEqual(said);
  expect((await client.lineageStatus(lineageKey)).extensions).toEqual(said);
  expect((await client.lineageUpdate(lineageKey, { incarnation: boot })).extensions).toEqual(said);
  const { mac, reply } = client.sendMac('forget', slot, claimContent(boot));
  const { forgotten, mac: answered } = decodeForgotten((await reply).json);
  expect(forgotten.extensions).toEqual(said);
  const proves = (extensions: typeof said): boolean =>
    macMatches(answered, responseMac(key, 'forget', mac, forgottenBytes({ ...forgotten, extensions })));
  expect([proves(said), proves(new Map())]).toEqual([true, false]);
});

it('a grant says what the audit log contains after the release: the head that a client keeps fixes its own entry', async () => {
  let recorded = 0;
  const world = keyServerWorld({
    onRelease: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      recorded++;
    },
    extensionsFor: () => new Map([['auditHead', Uint8Array.of(recorded)]]),
  });
  const { extensions } = await new ProtocolClient(world).obtain();
  expect(extensions.get('auditHead')).toEqual(Uint8Array.of(1));
});

it('another account does not get them', async () => {
  const other = new ProtocolClient(keyServerWorld(options), clientAccount(2));
  expect((await other.obtain()).extensions.size).toBe(0);
});

it('the MAC covers extensions with unknown names: none can be changed, added or removed', async () => {
  const client = new ProtocolClient(keyServerWorld(options));
  const slotId = newSlotId();
  const { key } = await client.obtain({ intent: 'create', slotId });
  const { mac, reply } = client.sendMac('key-status', { slotId, key }, keyStatusContent({}));
  const { json } = await reply;
  const proves = (extensions: unknown): boolean => {
    const { extensions: _said, ...rest } = json;
    const answer = decodeServerState(extensions === undefined ? rest : { ...rest, extensions });
    return macMatches(answer.mac, responseMac(key, 'key-status', mac, serverStateBytes(answer.state)));
  };
  expect(proves({ fleet: 'AQID', ofTheFuture: 'BA==' })).toBe(true);
  expect(proves({ ofTheFuture: 'BA==', fleet: 'AQID' })).toBe(true);
  expect(proves({ fleet: 'AQID', ofTheFuture: 'BQ==' })).toBe(false);
  expect(proves({ fleet: 'AQID' })).toBe(false);
  expect(proves({ fleet: 'AQID', ofTheFuture: 'BA==', more: 'BA==' })).toBe(false);
  expect(proves({ fleet: 'AQID', ofThefuture: 'BA==' })).toBe(false);
  expect(proves(undefined)).toBe(false);
});
