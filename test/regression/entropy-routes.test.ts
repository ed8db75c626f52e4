import { describe, expect, it } from 'vitest';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import { toHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import { sr25519Verify } from '../../src/crypto/sr25519.ts';
import { sealBase } from '../../src/hpke/hpke.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import {
  EntropyNode,
  newResponseSecret,
  opened,
  plaintextOf,
  publicOf,
  senderOf,
} from '../support/entropy-client.ts';
import { type KeyServerWorld, keyServerWorld } from '../support/key-server-fixture.ts';
import { memoryChain } from '../support/memory-chain.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { storeKeyOf, storeOptions } from '../support/store-on-disk.ts';

// The defects of the predecessor's backup provider once more, each through the routes that its own nodes use.

type Options = NonNullable<Parameters<typeof keyServerWorld>[0]>;
const world = (options: Options = {}) => keyServerWorld({ entropyStore: new MemoryStore(), ...options });
const key = (value: number) => new Uint8Array(32).fill(value);
const hexKey = (value: number) => toHex(key(value));

/** An attacker takes a signed message out of an answer, and seals it as a backup for another server. */
function resealed(plaintext: string, { keyServer }: KeyServerWorld): unknown {
  const { enc, ciphertext } = sealBase({
    recipientPublicKey: keyServer.identity.x25519PublicKey,
    plaintext: new TextEncoder().encode(plaintext),
    info: new Uint8Array(0),
    aad: new Uint8Array(0),
  });
  return { hpke_message: { ciphertext: toPrefixedHex(ciphertext), encapsulation: toPrefixedHex(enc) } };
}

describe('defects of the predecessor, through its own routes', () => {
  it('3.1 nothing that a server signs is a backup request in its name elsewhere', async () => {
    const [first, second] = [world(), world({ seed: 2 })];
    const client = new EntropyNode(first).register();
    // The first server is registered, as every server of a network is.
    const record = { ...client.record(), account: first.account, stash: first.account };
    second.chain.set({ servers: [record, client.record()] });
    const responseSecret = newResponseSecret();
    const nonce = await first.send('POST', '/v1/backup_provider_quote_nonce', [...publicOf(responseSecret)]);
    await client.backup(key(6));
    const recovered = await client.submit(await client.prepare({ responseSecret }));
    for (const answer of [nonce, recovered]) {
      const plaintext = plaintextOf(answer.text, responseSecret);
      const { message, sender, signature } = JSON.parse(plaintext) as Record<string, string>;
      expect(sender).not.toBe(first.account);
      const bytes = (text = '') => Uint8Array.from(Buffer.from(text.replace('0x', ''), 'hex'));
      expect(sr25519Verify(bytes(message), bytes(signature), first.account)).toBe(false);
      const attack = await second.send('POST', '/v1/backup_encryption_key', resealed(plaintext, second));
      expect(attack).toMatchObject({ status: 403, json: { code: 'BACKUP_UNREGISTERED' } });
    }
    expect(await second.entropy?.status()).toEqual({ backups: 0, conflicts: 0 });
  });

  it('3.1 the signer of answers is another one after each start', async () => {
    const signerOf = async (server: KeyServerWorld) => {
      const secret = newResponseSecret();
      const answer = await server.send('POST', '/v1/backup_provider_quote_nonce', [...publicOf(secret)]);
      return toHex(senderOf(answer.text, secret));
    };
    expect(await signerOf(world({ seed: 1 }))).not.toBe(await signerOf(world({ seed: 2 })));
    const server = world();
    expect(await signerOf(server)).toBe(await signerOf(server));
  });

  it('3.2 and 3.3 a key comes back only for the account that the quote names, and only as it was given', async () => {
    const server = world();
    const [node, other] = [new EntropyNode(server), new EntropyNode(server)];
    server.chain.set({ servers: [node.record(), other.record()] });
    await node.backup(key(1));
    await other.backup(key(2));
    expect([toHex(await node.recover()), toHex(await other.recover())]).toEqual([hexKey(1), hexKey(2)]);
  });

  it('3.4 and 3.6 a server that was restarted gives the key back: no node is left to begin anew', async () => {
    const disk = new SimulatedDisk();
    const chain = memoryChain();
    const options = storeOptions(disk);
    const store = await SealedStore.create(options);
    const node = new EntropyNode(world({ entropyStore: store, chain })).register();
    expect((await node.backup(key(1))).status).toBe(200);
    // The power is cut: what was acknowledged is there.
    const after = await SealedStore.open({
      ...options,
      fileSystem: disk.afterPowerCut('lost'),
      storeKey: storeKeyOf(7),
    });
    const restarted = world({ entropyStore: after, chain });
    chain.set({ servers: [{ ...node.record() }] });
    const again = new EntropyNode(restarted, node.signingKey);
    expect(toHex(await again.recover())).toBe(hexKey(1));
    await after.close();
  });

  it('3.5 a server keeps no backup of itself', async () => {
    const server = world();
    const node = new EntropyNode(server);
    server.chain.set({ servers: [{ ...node.record(), account: server.account, stash: server.account }] });
    expect((await node.backup(key(1))).json['code']).toBe('BACKUP_UNREGISTERED');
  });

  it('3.7 another genuine machine does not get the key of an account that it names', async () => {
    const node = new EntropyNode(world()).register(1);
    await node.backup(key(1));
    expect(await node.refusal({ platform: 2 })).toBe('PLATFORM_REFUSED');
    expect(toHex(await node.recover({ platform: 1 }))).toBe(hexKey(1));
  });

  it('3.8 debug TDs, out-of-date platforms, other images and trust sections are refused', async () => {
    const node = new EntropyNode(world({ trust: { freshness: { tcbGraceMs: 0 } } })).register();
    await node.backup(key(1));
    const tdAttributes = Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0);
    expect(await node.refusal({ body: { tdAttributes } })).toBe('TD_DEBUG');
    expect(await node.refusal({ body: { mrConfigId: new Uint8Array(48) } })).toBe('TRUST_SECTION_REFUSED');
    expect(await node.refusal({ body: { mrTd: new Uint8Array(48) } })).toBe('MEASUREMENT_REFUSED');
    const componentSvns = [7, 7, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    expect(await node.refusal({ facts: { componentSvns } })).toBe('TCB_STATUS_REFUSED');
    expect(toHex(await node.recover())).toBe(hexKey(1));
  });

  it('3.8 the image of the predecessor is accepted where the trust section lists it, and its MRCONFIGID', async () => {
    const body = { mrTd: new Uint8Array(48).fill(9), mrConfigId: new Uint8Array(48) };
    const id = toPrefixedHex(measurementId({ ...developmentMeasurements, ...body }));
    const trust = {
      measurement: { policy: 'pinned', accepted: [id] },
      acceptedTrustHashes: [toPrefixedHex(body.mrConfigId)],
    };
    const node = new EntropyNode(world({ trust })).register();
    await node.backup(key(1));
    expect(toHex(await node.recover({ body }))).toBe(hexKey(1));
    expect(await node.refusal({ body: { ...body, mrTd: new Uint8Array(48).fill(8) } })).toBe(
      'MEASUREMENT_REFUSED',
    );
  });

  it('3.9 a 200 means that the key is on the disk', async () => {
    let written = false;
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const entropyStore = new MemoryStore({
      beforeWrite: async (operations) => {
        if (operations.length === 0) return;
        await gate;
        written = true;
      },
    });
    const node = new EntropyNode(world({ entropyStore })).register();
    const answer = node.backup(key(1)).then(({ status }) => ({ status, written }));
    setTimeout(release, 50);
    expect(await answer).toEqual({ status: 200, written: true });
  });

  it('K3 3.10 a retry can succeed: a failed request does not use up its nonce', async () => {
    let isDown = true;
    const working = keyServerWorld();
    const collateral: NonNullable<Options['collateral']> = {
      graceMs: 0,
      async collateralFor() {
        if (isDown) throw new Error('the service is down');
        return {
          documents: working.pki.collateral({ nowMs: working.clock.nowMs() }),
          state: 'fresh',
          validUntilMs: 1e15,
        };
      },
      status: () => [],
      async close() {},
      async [Symbol.asyncDispose]() {},
    };
    const node = new EntropyNode(world({ collateral })).register();
    await node.backup(key(1));
    const recovery = await node.prepare();
    expect((await node.submit(recovery)).status).toBe(500);
    isDown = false;
    expect(toHex(opened(recovery.responseSecret, await node.submit(recovery)))).toBe(hexKey(1));
  });

  it('3.11 nobody can overwrite the nonce of another, and nonces take no memory', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    const recovery = await node.prepare();
    for (let index = 0; index < 50; index++) {
      await server.send('POST', '/v1/backup_provider_quote_nonce', recovery.body.response_key);
    }
    expect(toHex(opened(recovery.responseSecret, await node.submit(recovery)))).toBe(hexKey(1));
  });

  it('3.12 a captured backup brings no old key back', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    const captured = node.backupBody(key(1));
    await node.backup(key(2));
    const replay = await server.send('POST', '/v1/backup_encryption_key', captured);
    expect(replay).toMatchObject({ status: 409, json: { code: 'BACKUP_CONFLICT' } });
    expect(toHex(await node.recover())).toBe(hexKey(2));
  });

  it('3.13 an answer opens with the response key alone, not with the key of the server', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    const recovery = await node.prepare();
    const answer = await node.submit(recovery);
    expect(() => opened(server.keyServer.identity.x25519.privateKey.exportSecret(), answer)).toThrow();
    expect(toHex(opened(recovery.responseSecret, answer))).toBe(hexKey(1));
  });

  it('3.14 an account that left the chain recovers nothing', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    server.chain.set({ servers: [] });
    expect(await node.refusal({})).toBe('ACCOUNT_DEREGISTERED');
  });

  it('3.14 also when it left before this server was started', async () => {
    const entropyStore = new MemoryStore();
    const node = new EntropyNode(world({ entropyStore })).register();
    await node.backup(key(1));
    const restarted = world({ entropyStore, chain: memoryChain() });
    restarted.chain.set({ servers: [] });
    expect(await new EntropyNode(restarted, node.signingKey).refusal({})).toBe('ACCOUNT_DEREGISTERED');
  });

  it('3.15 the version says that a server with an injected root is for development', async () => {
    expect((await world().send('GET', '/v1/version')).json['build']).toBe('NonProduction');
  });

  it('3.17 a record that was exchanged or altered is not given out', async () => {
    const entropyStore = new MemoryStore();
    const node = new EntropyNode(world({ entropyStore })).register();
    await node.backup(key(1));
    const namespace = await entropyStore.namespace('latchkey/entropy-backups');
    const record = (await namespace.get(toHex(node.account))) ?? new Uint8Array(0);
    for (const altered of [record.subarray(1), Uint8Array.of(2, ...record.subarray(1)), new Uint8Array(0)]) {
      await namespace.put(toHex(node.account), altered);
      expect(await node.refusal({})).toBe('STORE_RECORD_DAMAGED');
    }
  });

  it('3.18 no plaintext inside an envelope stops the server', async () => {
    const server = world();
    for (const plaintext of ['', '{', 'null', '[]', '"x"', '{"a":1}', '\u0000', '{"message":{}}', '[[[[[[']) {
      const { status, json } = await server.send(
        'POST',
        '/v1/backup_encryption_key',
        resealed(plaintext, server),
      );
      expect({ plaintext, status, code: json['code'] }).toEqual({
        plaintext,
        status: 400,
        code: 'ENVELOPE_INVALID',
      });
    }
    const node = new EntropyNode(server).register();
    expect((await node.backup(key(1))).status).toBe(200);
  });

  it('3.19 each cause has a code of its own, and no origin of a browser is allowed', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    const replies = [
      await server.send('POST', '/v1/backup_encryption_key', node.backupBody(new Uint8Array(31))),
      await new EntropyNode(server).backup(key(1)),
      await node.submit(await node.prepare()),
      await node.submit(await node.prepare({ nonce: key(0) })),
    ];
    expect(replies.map(({ status, json }) => `${status} ${String(json['code'])}`)).toEqual([
      '400 BACKUP_KEY_LENGTH',
      '403 BACKUP_UNREGISTERED',
      '404 KEY_UNKNOWN',
      '401 QUOTE_NONCE_INVALID',
    ]);
    for (const { text, headers } of replies) {
      expect(text).not.toMatch(/\.ts|at .*\(|node_modules/);
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });
});

describe('the shape of entropy-core issue 1247', () => {
  const quote = { quote: 'AAAA' };
  it.each([
    ['in our names', { accountId: '5F', ephemeralPublicKey: `0x${'09'.repeat(32)}`, ...quote }],
    ['as its first commit sent it', { tss_account: '5F', response_key: Array(32).fill(9), quote: [1, 2, 3] }],
    ['with a quote alone', quote],
  ])('%s: a quote without a challenge is refused, and the challenge is the hint', async (_how, body) => {
    const { status, json } = await keyServerWorld().send('POST', '/request-encryption-key', body);
    expect({ status, code: json['code'] }).toEqual({ status: 400, code: 'CHALLENGE_MISSING' });
    expect(json['hint']).toContain('POST /challenge');
  });

  it.each([
    ['no quote', { accountId: '5F' }],
    ['nothing', null],
    ['text', 'quote'],
    ['a quote and servers', { ...quote, servers: [] }],
  ])('%s is another fault', async (_what, body) => {
    const { json } = await keyServerWorld().send('POST', '/request-encryption-key', JSON.stringify(body));
    expect(json['code']).toBe('FIELD_INVALID');
  });
});
