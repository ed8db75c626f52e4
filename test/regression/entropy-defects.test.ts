import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { parseBase64 } from '../../src/bytes/base64.ts';
import { equalBytes } from '../../src/bytes/concat.ts';
import { InstanceId } from '../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex, toHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { configSchema } from '../../src/config/schema.ts';
import { openAuth } from '../../src/hpke/hpke.ts';
import { KeyslotDisk } from '../../src/keyslots/keyslot-disk.ts';
import { sealedKeyAad, sealedKeyInfo } from '../../src/protocol/sealed-key.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { parseCollateralDocuments } from '../../src/tdx/collateral.ts';
import { QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import { START_MS } from '../support/collateral-world.ts';
import { endNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import { keyServerWorld } from '../support/key-server-fixture.ts';
import {
  clientAccount,
  keyStatusContent,
  lineageKeyNumber,
  newSlotId,
  ProtocolClient,
} from '../support/protocol-client.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { folderDigest, KEYSLOTS, type SimulatedNetwork } from '../support/simulated-network.ts';
import type { SimulatedNode } from '../support/simulated-network-node.ts';
import { codeOf } from '../support/thrown.ts';

/** One test for each defect of the predecessor's backup provider, by its number in the list of defects. */
const LONG = { timeout: 60_000 };
let net: SimulatedNetwork;
let node: SimulatedNode;

beforeAll(async () => {
  ({ net, node } = await formedNetwork(500));
}, 60_000);
afterAll(() => endNetwork(net));

const others = (): SimulatedNode[] => net.nodes.filter((other) => other !== node);
const standings = ({ state }: SimulatedNode): string[] =>
  'slots' in state
    ? state.slots.map(({ standing }) => (typeof standing === 'string' ? standing : standing.kind))
    : [];

/** Restarts the node while the host does something with all its servers, and back. */
async function restartedUnder(
  how: 'impersonate' | 'redirect' | 'hang',
  milliseconds: number,
): Promise<string[]> {
  for (const { endpoint } of others()) net.world.wire.misbehaviour.set(endpoint, how);
  await net.world.clock.until(node.kill());
  const before = folderDigest(node);
  node.start();
  await net.settle(milliseconds);
  expect(node.state.name).toBe('locked');
  expect(folderDigest(node)).toBe(before);
  const seen = standings(node);
  net.world.wire.misbehaviour.clear();
  await net.settle(30_000);
  expect(node.open).toBeDefined();
  return seen;
}

describe('defects of the predecessor', () => {
  it('3.1 no other party can replace the key of a node', async () => {
    const victim = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    const made = await victim.obtain({ intent: 'create', slotId, platform: 1 });
    // A genuine machine that knows account and slot id.
    const thief = await victim.submit(await victim.prepare({ intent: 'create', slotId, platform: 2 }));
    expect(thief).toMatchObject({ status: 409, json: { code: 'KEY_EXISTS' } });
    await victim.link({ slotId, key: made.key }, lineageKeyNumber(1));
    const back = await victim.obtain({ intent: 'recover', slotId, token: made.recoveryToken });
    expect(toHex(back.key.reveal())).toBe(toHex(made.key.reveal()));
  });

  it('3.2 a fake provider at the addresses of the servers opens nothing', LONG, async () => {
    const text = new TextDecoder().decode(node.disk.files().get(KEYSLOTS));
    for (const { endpoint } of others()) expect(text).not.toContain(endpoint);
    expect(await restartedUnder('impersonate', 20_000)).not.toContain('live');
  });

  it('3.3 an answer counts only from the server that was asked', LONG, async () => {
    const seen = await restartedUnder('redirect', 20_000);
    expect(seen).toContain('impostor');
    expect(seen).not.toContain('live');
  });

  it('K12 3.4 an outage of twenty minutes locks the store and changes nothing', LONG, async () => {
    const account = node.open?.identity.account;
    expect(await restartedUnder('hang', 1_200_000)).not.toContain('live');
    expect(node.open?.identity.account).toEqual(account);
  });

  it('K10 3.5 a key has five copies at five other servers', async () => {
    const file = await new KeyslotDisk(node.disk, KEYSLOTS).read();
    const { t, n, slots } = file.generations[0];
    expect({ t, n, copies: slots.length }).toEqual({ t: 3, n: 5, copies: 5 });
    expect(new Set(slots.map(({ server }) => toHex(server))).size).toBe(5);
    expect(slots.some(({ server }) => equalBytes(server, file.account))).toBe(false);
  });

  it(
    'K11 3.6 after a recovery, and after its servers restarted, the store is backed again',
    LONG,
    async () => {
      await restart(net, node);
      await net.settle(20_000);
      expect(node.state.name).toBe('backed');
      for (const server of others().slice(0, 4)) {
        await restart(net, server);
        await net.settle(30_000);
        expect(node.state.name).toBe('backed');
      }
      await restart(net, node);
      await net.settle(5_000);
      expect(node.open).toBeDefined();
    },
  );

  it('3.7 another genuine machine does not get the key of an account that it names', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    await client.obtain({ intent: 'create', slotId, platform: 1 });
    const recover = await client.submit(await client.prepare({ intent: 'recover', slotId, platform: 2 }));
    expect(recover.json['code']).toBe('RECOVERY_PROOF_REQUIRED');
    await client.obtain({ platform: 1 });
    const plain = await client.submit(await client.prepare({ platform: 2 }));
    expect(plain.json['code']).toBe('PLATFORM_REFUSED');
  });

  it('K4 3.8 debug TDs, out-of-date platforms and other trust sections are refused', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const refusal = async (wish: Parameters<ProtocolClient['prepare']>[0]) =>
      (await client.submit(await client.prepare(wish))).json['code'];
    const tdAttributes = Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0);
    expect(await refusal({ body: { tdAttributes } })).toBe('TD_DEBUG');
    expect(await refusal({ body: { mrConfigId: new Uint8Array(48) } })).toBe('TRUST_SECTION_REFUSED');
    expect(await refusal({ body: { mrTd: new Uint8Array(48) } })).toBe('MEASUREMENT_REFUSED');
    const componentSvns = [7, 7, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    expect(await refusal({ facts: { componentSvns } })).toBe('TCB_STATUS_REFUSED');
  });

  it('3.9 an acknowledgement without proof does not count as a backup', LONG, async () => {
    const late = net.addMachine();
    for (const { endpoint } of net.nodes) net.world.wire.misbehaviour.set(endpoint, 'garbage');
    late.start();
    await net.settle(20_000);
    expect(late.state.name).toBe('unbacked');
    net.world.wire.misbehaviour.clear();
    await net.settle(30_000);
    expect(late.state.name).toBe('backed');
  });

  it('K3 3.10 a retry can succeed: a failed request does not use up its challenge', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const attempt = await client.prepare();
    const broken = { ...attempt, body: { ...attempt.body, quote: 'AAAA' } };
    expect((await client.submit(broken)).status).toBe(422);
    expect((await client.submit(attempt)).status).toBe(200);
    expect((await client.submit(attempt)).status).toBe(200);
  });

  it('3.11 challenges take no memory, and no client can overwrite the challenge of another', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const attempt = await client.prepare();
    const ephemeralPublicKey = String(attempt.body['ephemeralPublicKey']);
    const accountId = encodeSs58(clientAccount(2));
    for (let index = 0; index < 50; index++) {
      await client.world.send('POST', '/challenge', { accountId, ephemeralPublicKey });
    }
    expect((await client.submit(attempt)).status).toBe(200);
    expect(client.world.vault.size).toBe(1);
  });

  it('3.12 a captured request has no effect when it is replayed later', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const slotId = newSlotId();
    const attempt = await client.prepare({ intent: 'create', slotId });
    const { key } = client.open(attempt, await client.submit(attempt));
    const captured = { bytes: keyStatusContent({}).bytes, wire: keyStatusContent({}).wire };
    const thenMs = client.world.clock.nowMs();
    await client.world.clock.advance(61_000);
    const status = await client.sendMac('key-status', { slotId, key }, captured, {}, thenMs).reply;
    expect(status.json['code']).toBe('TIMESTAMP_STALE');
    expect((await client.submit(attempt)).json['code']).toBe('CHALLENGE_EXPIRED');
  });

  it('3.13 the server’s long-term key opens no answer', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const attempt = await client.prepare();
    const { json } = await client.submit(attempt);
    const { x25519, x25519PublicKey } = client.world.keyServer.identity;
    const open = (recipientKeyPair: typeof x25519) =>
      openAuth({
        recipientKeyPair,
        senderPublicKey: x25519PublicKey,
        enc: parsePrefixedHex(String(json['enc']), 32, 'enc'),
        info: sealedKeyInfo(client.world.account, attempt.account),
        aad: sealedKeyAad(attempt.reportData, InstanceId.parse(String(json['instanceId']), 'instanceId')),
        ciphertext: parseBase64(String(json['ciphertext']), 'ciphertext'),
      });
    expect(open(attempt.ephemeral)).toBeDefined();
    expect(open(x25519)).toBeUndefined();
  });

  it('3.14 an account that left the chain recovers nothing', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const { chain, keyServer } = client.world;
    const slotId = newSlotId();
    const { recoveryToken: token } = await client.obtain({ intent: 'create', slotId });
    const { x25519PublicKey } = keyServer.identity;
    const { account } = client;
    const record = { account, stash: account, x25519PublicKey, endpoint: 'a:1', quote: new Uint8Array(0) };
    chain.set({ servers: [{ ...record, active: true, signer: false }] });
    chain.set({ servers: [] });
    const refused = await client.submit(await client.prepare({ intent: 'recover', slotId, token }));
    expect(refused.json['code']).toBe('ACCOUNT_DEREGISTERED');
  });

  it('3.15 development quotes pass under no default, and no configuration can change that', () => {
    const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(1) });
    const quote = pki.quote({ reportData: new Uint8Array(64) });
    const collateral = parseCollateralDocuments(pki.collateral({ nowMs: START_MS }));
    const verifier = new QuoteVerifier();
    expect(codeOf(() => verifier.verify(quote, { collateral, nowMs: START_MS }))).toBe('ROOT_NOT_TRUSTED');
    const { config } = net.world;
    expect(configSchema.safeParse(config).success).toBe(true);
    for (const key of ['insecureTrustRoot', 'acceptMockQuotes', 'trustRoot']) {
      expect(configSchema.safeParse({ ...config, [key]: 'x' }).success).toBe(false);
    }
  });

  it('3.17 a store with altered, swapped or removed files does not open', async () => {
    const disk = new SimulatedDisk();
    const key = () => new SecretBytes(new Uint8Array(32).fill(1));
    const path = '/store';
    const store = await SealedStore.create({ fileSystem: disk, path, storeKey: key() });
    const secrets = await store.namespace('identity');
    await secrets.put('a', new Uint8Array(32).fill(1));
    await secrets.put('b', new Uint8Array(32).fill(2));
    await store.close();
    for (const [name, bytes] of disk.files()) {
      for (const changed of [
        undefined,
        bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 1 : byte)),
      ]) {
        if (changed !== undefined && bytes.length === 0) continue;
        const copy = disk.clone();
        copy.tamper(name, changed);
        await expect(
          SealedStore.open({ fileSystem: copy, path, storeKey: key() }),
          name,
        ).rejects.toMatchObject({
          code: expect.stringMatching(/^STORE_/),
        });
      }
    }
  });

  it('3.18 no request body stops a server or changes its state', async () => {
    const world = keyServerWorld();
    const bodies = ['', '{', 'null', '[]', '"x"', '{"a":1}', '\u0000', '{"accountId":{}}', '[[[[[[[[[['];
    const ofSlots = ['/key-status', '/reserve', '/claim', '/forget'];
    const ofLineages = ['/lineage-status', '/lineage-update'];
    for (const route of ['/challenge', '/request-encryption-key', ...ofSlots, ...ofLineages]) {
      for (const body of bodies) {
        const { status } = await world.send('POST', route, body);
        expect(status, `${route} ${body}`).toBeGreaterThanOrEqual(400);
        expect(status, `${route} ${body}`).toBeLessThan(500);
      }
    }
    expect((await new ProtocolClient(world).obtain()).created).toBe(true);
  });

  it('3.19 errors have codes and reveal no internals; secrets do not print; a boot needs no ready server', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const reply = await client.submit(await client.prepare({ intent: 'recover', slotId: newSlotId() }));
    expect(reply).toMatchObject({ status: 404, json: { code: 'KEY_UNKNOWN' } });
    expect(reply.text).not.toMatch(/\.ts|at .*\(|node_modules/);
    expect(reply.headers.get('access-control-allow-origin')).toBeNull();
    const secret = new SecretBytes(new Uint8Array(32).fill(0xab));
    const printed = `${secret} ${JSON.stringify({ secret })} ${inspect({ secret })}`;
    expect(printed).not.toMatch(/ab(ab|, ?171)|171/);
    secret.wipe();
    expect(() => secret.reveal()).toThrow(TypeError);
    // The network of this file formed although none of its nodes was ready when the others first asked it.
    expect(net.world.history.length).toBeGreaterThanOrEqual(7);
  });
});
