import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { x25519KeyPairFromSecret } from '../../../src/crypto/x25519.ts';
import { QuoteNonces } from '../../../src/entropy/quote-nonces.ts';
import { BoundRecovery } from '../../../src/entropy/recover-request.ts';
import { sealBase } from '../../../src/hpke/hpke.ts';
import { JudgedReturn } from '../../../src/keyserver/judge.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import type { PlatformPolicy } from '../../../src/trust/trust-section.ts';
import {
  EntropyNode,
  newResponseSecret,
  opened,
  plaintextOf,
  publicOf,
  sealed,
} from '../../support/entropy-client.ts';
import { type KeyServerWorld, keyServerWorld, type Reply } from '../../support/key-server-fixture.ts';
import { memoryChain } from '../../support/memory-chain.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { listsOf } from '../../support/platform-worlds.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { storeOptions } from '../../support/store-on-disk.ts';

type Options = NonNullable<Parameters<typeof keyServerWorld>[0]>;
const world = (options: Options = {}) => keyServerWorld({ entropyStore: new MemoryStore(), ...options });
const key = (value: number) => new Uint8Array(32).fill(value);
const hexKey = (value: number) => toHex(key(value));
const codeOf = ({ status, json }: Reply) => (status === 200 ? 'done' : json['code']);
const MINUTE_MS = 60_000;

/** Puts any plaintext into an envelope for a server. */
function boxed(server: KeyServerWorld, plaintext: string): unknown {
  const { enc, ciphertext } = sealBase({
    recipientPublicKey: server.keyServer.identity.x25519PublicKey,
    plaintext: new TextEncoder().encode(plaintext),
    info: new Uint8Array(0),
    aad: new Uint8Array(0),
  });
  return { hpke_message: { ciphertext: toPrefixedHex(ciphertext), encapsulation: toPrefixedHex(enc) } };
}

const backup = (server: KeyServerWorld, body: unknown) =>
  server.send('POST', '/v1/backup_encryption_key', body);

describe('K5 a backup', () => {
  it('that is replayed changes nothing', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    const body = node.backupBody(key(1));
    expect(codeOf(await backup(server, body))).toBe('done');
    await server.clock.advance(365 * 24 * 60 * MINUTE_MS);
    server.chain.set({});
    expect(codeOf(await backup(server, body))).toBe('done');
    expect(toHex(await node.recover())).toBe(hexKey(1));
  });

  it('of another key never replaces the first one, and the conflict is reported', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    const answer = await node.backup(key(2));
    expect({ status: answer.status, code: codeOf(answer) }).toEqual({ status: 409, code: 'BACKUP_CONFLICT' });
    expect(answer.json['expected']).toContain(new Date(server.clock.nowMs()).toISOString());
    expect(toHex(await node.recover())).toBe(hexKey(1));
    expect(server.logText()).toContain('BACKUP_CONFLICT');
    expect(await server.metrics.registry.metrics()).toMatch(/keys_refused_total\{code="BACKUP_CONFLICT"\} 1/);
    expect(await server.entropy?.status()).toEqual({ backups: 1, conflicts: 1 });
  });

  it('of two keys at the same moment: one wins, the other is told so, also on the disk', async () => {
    for (let round = 0; round < 5; round++) {
      const store = await SealedStore.create(storeOptions(new SimulatedDisk()));
      const server = world({ entropyStore: store });
      const node = new EntropyNode(server).register();
      const keys = Array.from({ length: 8 }, (_, index) => index + 1);
      const codes = (await Promise.all(keys.map((value) => node.backup(key(value))))).map(codeOf);
      expect(codes.filter((code) => code === 'done')).toHaveLength(1);
      expect(codes.filter((code) => code === 'BACKUP_CONFLICT')).toHaveLength(keys.length - 1);
      expect(toHex(await node.recover())).toBe(hexKey(codes.indexOf('done') + 1));
      await store.close();
    }
  });

  it('is acknowledged only when it is durable', async () => {
    let fails = true;
    const entropyStore = new MemoryStore({
      beforeWrite: (operations) => {
        if (fails && operations.length > 0) throw new Error('no room');
      },
    });
    const node = new EntropyNode(world({ entropyStore })).register();
    expect((await node.backup(key(1))).status).toBe(500);
    expect(await node.refusal({})).toBe('KEY_UNKNOWN');
    fails = false;
    expect(codeOf(await node.backup(key(2)))).toBe('done');
    expect(toHex(await node.recover())).toBe(hexKey(2));
  });

  it('is refused to accounts without a record, and to records that prove no platform', async () => {
    const server = world();
    const node = new EntropyNode(server);
    server.chain.set({});
    expect(codeOf(await node.backup(key(1)))).toBe('BACKUP_UNREGISTERED');
    const other = new EntropyNode(server);
    server.chain.set({ servers: [{ ...node.record(), quote: other.record().quote }] });
    expect(codeOf(await node.backup(key(1)))).toBe('BACKUP_PLATFORM_UNKNOWN');
    server.chain.set({ servers: [node.record()] });
    expect(codeOf(await node.backup(key(1)))).toBe('done');
  });

  it('with a forged signature costs no certificate chain', async () => {
    const server = world();
    const node = new EntropyNode(server);
    // The quote of this record is of another account: a server that reads it before it checks the signature reports that.
    server.chain.set({ servers: [{ ...node.record(), quote: new EntropyNode(server).record().quote }] });
    const secret = newResponseSecret();
    const mine = plaintextOf(sealed(node.signingKey, key(1), publicOf(secret)), secret);
    const forged = boxed(server, mine.replace('01'.repeat(32), '02'.repeat(32)));
    expect(codeOf(await backup(server, forged))).toBe('ENVELOPE_SIGNATURE_WRONG');
    expect(codeOf(await backup(server, boxed(server, mine)))).toBe('BACKUP_PLATFORM_UNKNOWN');
  });

  it('is not given by a copy of the node after another instance has taken over: nothing would record it', async () => {
    let isFenced = false;
    let releases = 0;
    const server = world({
      isFenced: () => isFenced,
      onBackupRelease: async () => void releases++,
    });
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    isFenced = true;
    expect(await node.refusal({})).toBe('NODE_FENCED');
    expect(releases).toBe(0);
    isFenced = false;
    expect(toHex(await node.recover())).toBe(hexKey(1));
  });

  it('needs the signature of its sender', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    const secret = newResponseSecret();
    const mine = plaintextOf(sealed(node.signingKey, key(1), publicOf(secret)), secret);
    const forged = mine.replace('01'.repeat(32), '02'.repeat(32));
    expect(forged).not.toBe(mine);
    expect(codeOf(await backup(server, boxed(server, forged)))).toBe('ENVELOPE_SIGNATURE_WRONG');
    expect(codeOf(await backup(server, boxed(server, mine)))).toBe('done');
  });

  it('waits for a fresh view of the chain', async () => {
    const server = world();
    const node = new EntropyNode(server);
    // The view of the start, and then none for longer than a view counts.
    await setImmediate();
    await server.clock.advance(11 * MINUTE_MS);
    expect(codeOf(await node.backup(key(1)))).toBe('CHAIN_UNAVAILABLE');
    node.register();
    expect(codeOf(await node.backup(key(1)))).toBe('done');
    const recovery = await node.prepare();
    await server.clock.advance(11 * MINUTE_MS);
    expect((await node.submit(recovery)).json).toMatchObject({ status: 503, code: 'CHAIN_UNAVAILABLE' });
    expect((await node.backup(key(1))).json).toMatchObject({ status: 503, code: 'CHAIN_UNAVAILABLE' });
  });

  it('is refused by a draining server and by a full table; what is there stays', async () => {
    const server = world({ limits: { maxKeys: 1 } });
    const [first, second] = [new EntropyNode(server), new EntropyNode(server)];
    server.chain.set({ servers: [first.record(), second.record(2)] });
    await first.backup(key(1));
    expect(codeOf(await second.backup(key(2)))).toBe('VAULT_FULL');
    expect(codeOf(await first.backup(key(1)))).toBe('done');
    server.vault.isDraining = true;
    expect(codeOf(await first.backup(key(1)))).toBe('SERVER_DRAINING');
    expect(toHex(await first.recover())).toBe(hexKey(1));
  });

  it('of an account that left the chain is kept for 30 days, and then erased', async () => {
    const server = world();
    const [leaver, other] = [new EntropyNode(server), new EntropyNode(server)];
    const day = async (days: number) => {
      await server.clock.advance(days * 24 * 60 * MINUTE_MS);
      server.chain.set({});
      await other.backup(key(9));
    };
    server.chain.set({ servers: [leaver.record(), other.record(2)] });
    await leaver.backup(key(1));
    server.chain.set({ servers: [other.record(2)] });
    await day(1);
    await day(29);
    expect(await leaver.refusal({})).toBe('ACCOUNT_DEREGISTERED');
    server.chain.set({ servers: [leaver.record(), other.record(2)] });
    expect(toHex(await leaver.recover())).toBe(hexKey(1));
    await day(1);
    server.chain.set({ servers: [other.record(2)] });
    await day(1);
    // The days of the first absence do not count.
    expect(await server.entropy?.status()).toMatchObject({ backups: 2 });
    await day(30);
    expect(await server.entropy?.status()).toMatchObject({ backups: 1 });
    expect(server.logText()).toContain('entropy.forgotten');
  });

  it('costs a look at all accounts once an hour, however many arrive', async () => {
    const server = world();
    const [leaver, other] = [new EntropyNode(server), new EntropyNode(server)];
    server.chain.set({ servers: [leaver.record(), other.record(2)] });
    await leaver.backup(key(1));
    server.chain.set({ servers: [other.record(2)] });
    const backupsAfter = async (minutes: number) => {
      await server.clock.advance(minutes * MINUTE_MS);
      server.chain.set({});
      await other.backup(key(9));
      return (await server.entropy?.status())?.backups;
    };
    expect(await backupsAfter(60)).toBe(2);
    expect(await backupsAfter(30 * 24 * 60 - 1)).toBe(2);
    // The account has been gone for 30 days, and the last look was not an hour ago.
    expect(await backupsAfter(59)).toBe(2);
    expect(await backupsAfter(1)).toBe(1);
  });

  it('that is erased while it comes again is kept anew', async () => {
    let erase = async (): Promise<unknown> => undefined;
    const entropyStore = new MemoryStore({ beforeRead: async () => void (await erase()) });
    const node = new EntropyNode(world({ entropyStore })).register();
    await node.backup(key(1));
    const namespace = await entropyStore.namespace('latchkey/entropy-backups');
    erase = () => {
      erase = async () => undefined;
      return namespace.delete(toHex(node.account));
    };
    expect(codeOf(await node.backup(key(1)))).toBe('done');
    expect(toHex(await node.recover())).toBe(hexKey(1));
  });

  it('in another spelling of the same JSON is taken too', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    const secret = newResponseSecret();
    const mine = plaintextOf(sealed(node.signingKey, key(1), publicOf(secret)), secret);
    expect(codeOf(await backup(server, boxed(server, mine.replace('"message":', '"message" : '))))).toBe(
      'done',
    );
    expect(toHex(await node.recover())).toBe(hexKey(1));
  });

  it('is no line of the log and no error', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    await node.backup(key(0xa7));
    const answers = [await node.backup(key(0xb8)), await node.submit(await node.prepare())];
    const seen = server.logText() + answers.map(({ text }) => text).join();
    expect(seen).toContain('entropy.recovered');
    for (const hidden of ['a7a7a7a7', 'b8b8b8b8', 'p6en']) expect(seen).not.toContain(hidden);
  });
});

describe('a nonce', () => {
  it('is good for its response key only', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    const nonce = await node.nonce(newResponseSecret());
    expect(await node.refusal({ nonce })).toBe('QUOTE_NONCE_INVALID');
    expect(await node.refusal({ nonce: key(0) })).toBe('QUOTE_NONCE_INVALID');
  });

  it('is good for the account only that an accepted machine used it for first', async () => {
    const server = world();
    const [first, second] = [new EntropyNode(server), new EntropyNode(server)];
    server.chain.set({ servers: [first.record(), second.record()] });
    await first.backup(key(1));
    await second.backup(key(2));
    const responseSecret = newResponseSecret();
    const nonce = await first.nonce(responseSecret);
    // A machine that is refused binds nothing.
    const tdAttributes = Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0);
    expect(await second.refusal({ responseSecret, nonce, body: { tdAttributes } })).toBe('TD_DEBUG');
    expect(toHex(await first.recover({ responseSecret, nonce }))).toBe(hexKey(1));
    expect(await second.refusal({ responseSecret, nonce })).toBe('QUOTE_NONCE_INVALID');
    expect(toHex(await first.recover({ responseSecret, nonce }))).toBe(hexKey(1));
  });

  it('serves the retries of its client for 16 minutes, and no longer', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    const recovery = await node.prepare();
    for (let minute = 0; minute < 16; minute += 4) {
      const answer = await node.submit(recovery);
      expect(toHex(opened(recovery.responseSecret, answer))).toBe(hexKey(1));
      // A replay of it by a stranger is sealed to the same key.
      expect(() => opened(newResponseSecret(), answer)).toThrow();
      await server.clock.advance(4 * MINUTE_MS);
      server.chain.set({});
    }
    expect(codeOf(await node.submit(recovery))).toBe('done');
    await server.clock.advance(1);
    expect(codeOf(await node.submit(recovery))).toBe('QUOTE_NONCE_EXPIRED');
  });

  it('survives a flood of nonces that strangers ask for, also for the same response key', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    const recovery = await node.prepare();
    for (let index = 0; index < 100; index++) {
      const body = index % 2 === 0 ? recovery.body.response_key : [...publicOf(newResponseSecret())];
      expect((await server.send('POST', '/v1/backup_provider_quote_nonce', body)).status).toBe(200);
    }
    expect(codeOf(await node.submit(recovery))).toBe('done');
  });

  it('of a clock that was ahead is refused as an old one', () => {
    const nonces = new QuoteNonces(new SecretBytes(key(1)));
    const responseKey = X25519PublicKey.of(key(9));
    const nonce = nonces.issue(responseKey, 100 * MINUTE_MS);
    nonces.check(nonce, responseKey, 84 * MINUTE_MS);
    expect(() => nonces.check(nonce, responseKey, 84 * MINUTE_MS - 1)).toThrow(
      expect.objectContaining({ code: 'QUOTE_NONCE_EXPIRED' }),
    );
  });

  it('is refused for a key of small order, to which nothing can be sealed', async () => {
    const answer = await world().send('POST', '/v1/backup_provider_quote_nonce', [...key(0)]);
    expect(answer).toMatchObject({ status: 400, json: { code: 'HPKE_PUBLIC_KEY_INVALID' } });
  });
});

describe('a recovery', () => {
  it('whose response key or account was swapped is refused', async () => {
    const server = world();
    const [node, other] = [new EntropyNode(server), new EntropyNode(server)];
    server.chain.set({ servers: [node.record(), other.record(2)] });
    await node.backup(key(1));
    const { body } = await node.prepare();
    const thief = newResponseSecret();
    const response_key = [...publicOf(thief)];
    expect(codeOf(await node.submit({ body: { ...body, response_key } }))).toBe('QUOTE_NONCE_INVALID');
    // With a nonce of its own, the thief has no quote of the victim.
    const own = await other.prepare({ responseSecret: thief, platform: 2 });
    const stolen = { ...own.body, tss_account: body.tss_account };
    expect(codeOf(await node.submit({ body: stolen }))).toBe('REPORT_DATA_MISMATCH');
    expect(await node.refusal({ context: 0 })).toBe('REPORT_DATA_MISMATCH');
  });

  it.each<PlatformPolicy['recover']>(['bound', 'endorsed', 'any'])(
    'from another platform is refused under recover: %s',
    async (recover) => {
      let lists = listsOf(world().pki, { endorsed: [1, 2] });
      const platforms = { recover, servers: 'registered', clients: 'any' } as const;
      const server = world({ platforms, platformLists: () => lists });
      const node = new EntropyNode(server).register(1);
      await node.backup(key(1));
      expect(await node.refusal({ platform: 2 })).toBe('PLATFORM_REFUSED');
      expect(toHex(await node.recover({ platform: 1 }))).toBe(hexKey(1));
      // A new record on the chain rebinds nothing.
      node.register(2);
      expect(await node.refusal({ platform: 2 })).toBe('PLATFORM_REFUSED');
      const moves = [{ account: node.account, from: 1, to: 2 }];
      lists = listsOf(server.pki, { endorsed: [1, 2], moves });
      const moved = await node.refusal({ platform: 2 });
      expect(moved).toBe(recover === 'bound' ? undefined : 'PLATFORM_REFUSED');
      lists = listsOf(server.pki, { revoked: [1] });
      expect(await node.refusal({ platform: 1 })).toBe('PLATFORM_REVOKED');
      // It does not learn whether there is a backup.
      expect(await new EntropyNode(server).refusal({ platform: 1 })).toBe('PLATFORM_REVOKED');
    },
  );

  it('leaves only when its entry in the audit log is written', async () => {
    let fails = true;
    const onBackupRelease = async () => {
      if (fails) throw new Error('no audit');
    };
    const node = new EntropyNode(world({ onBackupRelease })).register();
    await node.backup(key(1));
    expect((await node.submit(await node.prepare())).status).toBe(500);
    fails = false;
    expect(toHex(await node.recover())).toBe(hexKey(1));
  });

  it('writes nothing, also where nothing was ever backed up', async () => {
    const entropyStore = new MemoryStore({
      beforeWrite: () => {
        throw new Error('this store takes no writes');
      },
    });
    const server = world({ entropyStore });
    const node = new EntropyNode(server).register();
    expect(await node.refusal({})).toBe('KEY_UNKNOWN');
    expect(await server.entropy?.status()).toEqual({ backups: 0, conflicts: 0 });
    expect((await node.backup(key(1))).status).toBe(500);
    const refusals = server
      .logText()
      .split('\n')
      .filter((line) => line.includes('entropy.refused'));
    expect(refusals[0]).toContain('holds no backup of this account');
    expect(refusals[1]).toContain('INTERNAL');
    expect(refusals[1]).not.toContain('takes no writes');
  });

  it('without a backup says so, and the limit of a platform counts', async () => {
    const server = world({ platformRate: { burst: 2, perSecond: 0.001 } });
    const node = new EntropyNode(server).register();
    expect(await node.refusal({})).toBe('KEY_UNKNOWN');
    expect(await node.refusal({})).toBe('KEY_UNKNOWN');
    expect(await node.refusal({})).toBe('PLATFORM_LIMIT');
  });

  it('with a spoiled quote is refused', async () => {
    const node = new EntropyNode(world()).register();
    await node.backup(key(1));
    const { body } = await node.prepare();
    const quote = [...body.quote];
    quote[200] = (quote[200] ?? 0) ^ 1;
    expect((await node.submit({ body: { ...body, quote } })).status).toBe(422);
    expect((await node.submit({ body: { ...body, quote: quote.slice(0, 100) } })).status).toBe(422);
  });
});

describe('proofs', () => {
  it('are made by the steps alone', () => {
    const forged = Symbol('forged') as never;
    expect(() => new BoundRecovery(forged, {} as never)).toThrow(TypeError);
    expect(() => new JudgedReturn(forged, {} as never, key(1), {} as never)).toThrow(TypeError);
  });
});

describe('after a restart of the server', () => {
  it('the backup and the nonce of before are good, and answers have another signer', async () => {
    const entropyStore = new MemoryStore();
    const chain = memoryChain();
    const before = world({ entropyStore, chain });
    const node = new EntropyNode(before).register();
    await node.backup(key(1));
    const recovery = await node.prepare();
    const after = world({ entropyStore, chain });
    chain.set({ servers: [{ ...node.record() }] });
    const answer = await after.send('POST', '/v1/recover_encryption_key', recovery.body);
    expect(toHex(opened(recovery.responseSecret, answer))).toBe(hexKey(1));
    expect(codeOf(await backup(after, node.backupBody(key(2))))).toBe('BACKUP_CONFLICT');
  });

  it('a nonce of another server is not', async () => {
    const node = new EntropyNode(world()).register();
    const recovery = await node.prepare();
    const other = world({ seed: 2 });
    other.chain.set({ servers: [node.record()] });
    const answer = await other.send('POST', '/v1/recover_encryption_key', recovery.body);
    expect(codeOf(answer)).toBe('QUOTE_NONCE_INVALID');
  });
});

describe('quotes for strangers', () => {
  it('are bounded in number; one that was made is given again', async () => {
    const server = world();
    const ask = (index: number) =>
      server.send('GET', `/v1/attest?context=validate&nonce=0x${`${10 + index}`.repeat(32)}`);
    const answers = [];
    for (let index = 0; index < 8; index++) answers.push(await ask(index));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200, 429, 429]);
    expect(answers[7]?.headers.get('retry-after')).toBe('5');
    expect((await ask(0)).status).toBe(200);
    await server.clock.advance(5_000);
    expect((await ask(7)).status).toBe(200);
  });
});

describe('malformed bodies', () => {
  const routes = ['backup_encryption_key', 'backup_provider_quote_nonce', 'recover_encryption_key'];
  const hex = `0x${'00'.repeat(32)}`;
  const envelope = (ciphertext: unknown, encapsulation: unknown = hex) => ({
    hpke_message: { ciphertext, encapsulation },
  });
  const bodies: readonly unknown[] = [
    ...['', '{', 'null', '[]', '"x"', '[[[[[[[', '\u0000', '{"a":1}', '[1e400]', '1'],
    ...[
      envelope(''),
      envelope('0x'),
      envelope('0x1'),
      envelope('zz'),
      envelope(null),
      envelope('0x00', '0x'),
    ],
    ...[
      envelope(`0x${'00'.repeat(4097)}`),
      envelope(`0x${'00'.repeat(300)}`),
      envelope(hex, `0x${'01'.repeat(33)}`),
    ],
    ...[Array(31).fill(0), Array(33).fill(0), Array(32).fill(256), Array(32).fill(-1), Array(32).fill(0.5)],
    { tss_account: 'x', response_key: Array(32).fill(9), quote: [1] },
    { tss_account: hex, response_key: Array(32).fill(9), quote: [] },
    { tss_account: hex, response_key: Array(32).fill(9), quote: [256] },
    { tss_account: hex, response_key: Array(32).fill(9), quote: Array(5_000).fill(0), more: 1 },
    { tss_account: hex, response_key: Array(32).fill(9), quote: Array(16_385).fill(0) },
    { __proto__: null, constructor: 1 },
  ];

  it.each(routes)('of /v1/%s are refused, and the server goes on', async (route) => {
    const server = world();
    for (const body of bodies) {
      const { status, json } = await server.send('POST', `/v1/${route}`, body);
      expect([400, 422], `${JSON.stringify(body).slice(0, 80)}: ${String(json['code'])}`).toContain(status);
    }
    expect((await server.send('POST', `/v1/${route}`, `"${'x'.repeat(70_000)}"`)).status).toBe(413);
    expect((await server.send('POST', `/v1/${route}`, '{}', {})).status).toBe(415);
    const node = new EntropyNode(server).register();
    await node.backup(key(1));
    expect(toHex(await node.recover())).toBe(hexKey(1));
  });

  it.each([
    ['no JSON', 'x', 'ENVELOPE_INVALID'],
    ['no UTF-8', '\ud800', 'ENVELOPE_INVALID'],
    ['nothing', '', 'ENVELOPE_INVALID'],
    ['an array', '[]', 'ENVELOPE_INVALID'],
    ['fields of another type', '{"message":1,"sender":2,"signature":3}', 'ENVELOPE_INVALID'],
    ['no account', '{"message":"0x00","sender":"5Fx","signature":"00"}', 'FIELD_INVALID'],
    ['a short signature', `{"message":"${hex}","sender":"${hex}","signature":"00"}`, 'FIELD_INVALID'],
    [
      'a short key',
      `{"message":"0x00","sender":"${hex}","signature":"${'00'.repeat(64)}"}`,
      'BACKUP_KEY_LENGTH',
    ],
    ['no hex', `{"message":"0xzz","sender":"${hex}","signature":"${'00'.repeat(64)}"}`, 'BACKUP_KEY_LENGTH'],
  ])('inside an envelope: %s', async (_what, plaintext, code) => {
    const server = world();
    expect(codeOf(await backup(server, boxed(server, plaintext)))).toBe(code);
  });

  it('a ciphertext that is not hex', async () => {
    expect(codeOf(await backup(world(), envelope('0xzz')))).toBe('FIELD_INVALID');
  });

  it('an envelope for another server', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    const body = node.backupBody(key(1), x25519KeyPairFromSecret(key(3)).publicKey);
    expect(codeOf(await backup(server, body))).toBe('ENVELOPE_INVALID');
  });
});
