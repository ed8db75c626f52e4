import { beforeEach, describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { toBase64, tryFromBase64 } from '../../../src/bytes/base64.ts';
import { Nonce } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { errorCodes } from '../../../src/errors/codes.ts';
import type { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { type KeyServerWorld, keyServerWorld, type Reply } from '../../support/key-server-fixture.ts';
import { type Attempt, clientAccount, ProtocolClient } from '../../support/protocol-client.ts';

const PATH = '/request-encryption-key';
let world: KeyServerWorld;
let client: ProtocolClient;
let attempt: Attempt;

beforeEach(async () => {
  // One request per platform and hour: a refused request that counted would lock the good one out at the end.
  world = keyServerWorld({ platformRate: { burst: 1, perSecond: 1 / 3600 } });
  client = new ProtocolClient(world);
  attempt = await client.prepare();
});

const post = (body: unknown): Promise<Reply> => world.send('POST', PATH, body);
const changed = (changes: Readonly<Record<string, unknown>>) => ({ ...attempt.body, ...changes });
const quoteBytes = (from: Attempt): Uint8Array =>
  tryFromBase64(String(from.body['quote'])) ?? new Uint8Array();

/** A refusal of this code, well-formed and harmless; and the good request passes afterwards as if nothing was. */
async function expectRefused(reply: Reply, code: keyof typeof errorCodes, field?: string): Promise<void> {
  expect(reply.json).toMatchObject({ code, ...(field === undefined ? {} : { field }) });
  expect(reply.status).toBe(errorCodes[code].status);
  expect(reply.json).toMatchObject({ status: reply.status, type: `urn:latchkey:error:${code}` });
  expect(reply.headers.get('content-type')).toBe('application/problem+json');
  expect(reply.json['instance']).toBe(reply.headers.get('x-request-id'));
  expect(reply.text).not.toMatch(/\\n|node_modules|\.[jt]s:\d/);
  expect(world.vault.size).toBe(0);
  expect(world.served).toEqual([]);
  expect((await client.submit(attempt)).status).toBe(200);
}

describe('bodies that are not a request', () => {
  it.each(['', '{', 'null and more', '{"accountId":}', '\u0000', '[1,2', "{'a':1}"])(
    '%j is not JSON',
    async (text) => {
      await expectRefused(await world.send('POST', PATH, text === '' ? ' ' : text), 'BODY_NOT_JSON');
    },
  );

  it.each(['null', '[]', '"text"', '1', '[[[[[[]]]]]]', `${'['.repeat(30_000)}${']'.repeat(30_000)}`])(
    'JSON that is not an object is refused (%#)',
    async (text) => expectRefused(await post(text), 'FIELD_INVALID', 'body'),
  );

  it('an unknown field is refused by name', async () => {
    const reply = await post(changed({ nonce: '0x00' }));
    await expectRefused(reply, 'FIELD_INVALID');
    expect(reply.json['detail']).toContain('nonce');
  });

  it('an unknown field inside a server, and __proto__ as a field, are refused', async () => {
    const text = JSON.stringify(attempt.body);
    await expectRefused(await post(text.replace('"nonce":', '"more":1,"nonce":')), 'FIELD_INVALID');
    expect((await post(text.replace('{', '{"__proto__":{"intent":"create"},'))).json['code']).toBe(
      'FIELD_INVALID',
    );
  });

  it('many long unknown fields are shortened in the answer and in the log', async () => {
    const unknown = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [`${index}${'x'.repeat(1000)}`, 1]),
    );
    const reply = await post(changed(unknown));
    expect(reply.json['code']).toBe('FIELD_INVALID');
    expect(reply.text.length).toBeLessThan(2000);
    expect(world.logText().length).toBeLessThan(4000);
  });

  it('a body of 1 MB is refused', async () => {
    await expectRefused(await post(changed({ quote: 'A'.repeat(1 << 20) })), 'BODY_TOO_LARGE');
  });

  it.each(['text/plain', 'application/jsonp', 'multipart/form-data', ''])(
    'content type %j is refused',
    async (type) => {
      const headers: Record<string, string> = type === '' ? { 'content-type': '' } : { 'content-type': type };
      await expectRefused(await world.send('POST', PATH, attempt.body, headers), 'UNSUPPORTED_MEDIA_TYPE');
    },
  );

  it('a charset in the content type is accepted', async () => {
    const headers = { 'content-type': 'Application/JSON; charset=utf-8' };
    expect((await world.send('POST', PATH, attempt.body, headers)).status).toBe(200);
  });
});

describe('fields', () => {
  const hex32 = `0x${'11'.repeat(32)}`;
  const account = encodeSs58(clientAccount(1));
  const mistyped = `${account.slice(0, -1)}${account.endsWith('a') ? 'b' : 'a'}`;
  it.each([
    ['accountId', undefined],
    ['accountId', 7],
    ['accountId', ''],
    ['accountId', hex32.slice(0, -2)],
    ['accountId', hex32.slice(2)],
    ['accountId', mistyped],
    ['accountId', '15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5'],
    ['accountId', `${account}1`],
    ['accountId', '1'.repeat(50_000)],
    ['ephemeralPublicKey', undefined],
    ['ephemeralPublicKey', hex32.slice(0, -2)],
    ['ephemeralPublicKey', `${hex32}00`],
    ['ephemeralPublicKey', hex32.replace('0x', '0X')],
    ['ephemeralPublicKey', `0x${'1g'.repeat(32)}`],
    ['ephemeralPublicKey', hex32.slice(2)],
    ['ephemeralPublicKey', [1, 2, 3]],
    ['intent', 'delete'],
    ['intent', 0],
    ['servers', null],
    ['servers', []],
    ['servers', 'all'],
    ['recoveryProof', '0x'],
    ['recoveryProof', `${hex32}00`],
    ['quote', undefined],
    ['quote', { base64: '' }],
  ])('%s = %.80j is refused by name', async (field, value) => {
    await expectRefused(await post(changed({ [field]: value })), 'FIELD_INVALID', field);
  });

  it.each([
    ['servers.0.server', { server: 'nobody' }],
    ['servers.0.nonce', { nonce: '0x00' }],
    ['servers.0.slotId', { slotId: hex32 }],
  ])('%s is refused by its place', async (field, part) => {
    const [server] = attempt.body['servers'] as readonly Record<string, unknown>[];
    await expectRefused(await post(changed({ servers: [{ ...server, ...part }] })), 'FIELD_INVALID', field);
  });

  it('the same server twice, and 17 servers, are refused', async () => {
    const [server] = attempt.body['servers'] as readonly Record<string, unknown>[];
    await expectRefused(await post(changed({ servers: [server, server] })), 'FIELD_INVALID', 'servers');
    const many = Array.from({ length: 17 }, (_, index) => ({
      ...server,
      server: encodeSs58(clientAccount(index)),
    }));
    expect((await post(changed({ servers: many }))).json).toMatchObject({
      code: 'FIELD_INVALID',
      field: 'servers',
    });
  });

  it.each([
    ['no padding', (text: string) => text.replace(/=*$/, '')],
    ['URL alphabet', (text: string) => text.replace('+', '-').replace('/', '_')],
    ['white space', (text: string) => `${text.slice(0, 8)}\n${text.slice(8)}`],
    ['trailing bits', () => 'QUJ='],
    ['three paddings', (text: string) => `${text}=`],
  ])('base64 with %s is not canonical', async (_name, spoil) => {
    // The base64 of this quote has padding, so that each case changes the text.
    const padded = toBase64(new Uint8Array([...quoteBytes(attempt), 0]));
    const text = spoil(padded);
    expect(text).not.toBe(padded);
    await expectRefused(await post(changed({ quote: text })), 'FIELD_INVALID', 'quote');
  });

  it.each([
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(31)}`,
  ])('an ephemeral key of small order (%s) is refused before any key is made', async (hex) => {
    const nonce = await client.challenge(attempt.ephemeral.publicKey);
    const reply = await post(changed({ ephemeralPublicKey: `0x${hex}`, servers: [serverWith(nonce)] }));
    await expectRefused(reply, 'HPKE_PUBLIC_KEY_INVALID');
    const challenge = { accountId: attempt.body['accountId'], ephemeralPublicKey: `0x${hex}` };
    expect((await world.send('POST', '/challenge', challenge)).json['code']).toBe('HPKE_PUBLIC_KEY_INVALID');
  });

  const serverWith = (nonce: Nonce) => ({ server: encodeSs58(world.account), nonce: toPrefixedHex(nonce) });
});

describe('handshake', () => {
  const refused = async (body: unknown, code: keyof typeof errorCodes) =>
    expectRefused(await post(body), code);

  it('a quote for another account is refused', async () => {
    const other = new ProtocolClient(world, clientAccount(2));
    const nonce = await client.challenge(attempt.ephemeral.publicKey, other.account);
    const servers = [{ server: encodeSs58(world.account), nonce: toPrefixedHex(nonce) }];
    await refused(changed({ accountId: encodeSs58(other.account), servers }), 'REPORT_DATA_MISMATCH');
  });

  it('a quote for another ephemeral key is refused', async () => {
    const other = await client.prepare();
    await refused({ ...other.body, quote: attempt.body['quote'] }, 'REPORT_DATA_MISMATCH');
  });

  it("another server's challenge", async () => {
    const elsewhere = new ProtocolClient(keyServerWorld({ seed: 2, clock: world.clock }));
    const foreign = await client.prepare({ nonce: await elsewhere.challenge(attempt.ephemeral.publicKey) });
    await refused(foreign.body, 'CHALLENGE_INVALID');
  });

  it('a challenge of another request is refused', async () => {
    const nonce = await client.challenge(attempt.ephemeral.publicKey);
    await refused((await client.prepare({ nonce })).body, 'CHALLENGE_INVALID');
  });

  it('a challenge with a changed time is refused', async () => {
    const nonce = await client.challenge(attempt.ephemeral.publicKey);
    const later = Nonce.of(nonce.with(7, (nonce[7] ?? 0) ^ 1));
    await refused((await client.prepare({ nonce: later })).body, 'CHALLENGE_INVALID');
  });

  it('a challenge from before a restart of the server is refused', async () => {
    const restarted = new ProtocolClient(keyServerWorld({ clock: world.clock }));
    await restarted.challenge(attempt.ephemeral.publicKey);
    const nonce = await restarted.challenge(attempt.ephemeral.publicKey);
    await refused((await client.prepare({ nonce })).body, 'CHALLENGE_INVALID');
  });

  it('a request that names only other servers is refused', async () => {
    const [server] = attempt.body['servers'] as readonly Record<string, unknown>[];
    const servers = [{ ...server, server: encodeSs58(clientAccount(3)) }];
    await refused(changed({ servers }), 'SERVER_NOT_ADDRESSED');
  });

  it.each(['create', 'recover'] as const)('another intent than the quoted one: %s', async (intent) => {
    const slotId = `0x${'22'.repeat(16)}`;
    const [server] = attempt.body['servers'] as readonly Record<string, unknown>[];
    await refused(changed({ intent, servers: [{ ...server, slotId }] }), 'REPORT_DATA_MISMATCH');
  });

  it('a server list with one more server than quoted is refused', async () => {
    const servers = attempt.body['servers'] as readonly Record<string, unknown>[];
    const more = { ...servers[0], server: encodeSs58(clientAccount(3)) };
    await refused(changed({ servers: [...servers, more] }), 'REPORT_DATA_MISMATCH');
  });

  it('a challenge older than 60 seconds is refused', async () => {
    await world.clock.advance(60_001);
    const reply = await client.submit(attempt);
    attempt = await client.prepare();
    await expectRefused(reply, 'CHALLENGE_EXPIRED');
  });
});

describe('quotes', () => {
  const withQuote = (quote: Uint8Array) => post(changed({ quote: toBase64(quote) }));

  it('a quote that is cut at any byte is refused as truncated', async () => {
    const quote = quoteBytes(attempt);
    const codes = new Set<unknown>();
    for (let length = 0; length < quote.length; length++) {
      const body = changed({ quote: toBase64(quote.subarray(0, length)) });
      codes.add(await world.keyServer.requestKey(body, 'id').catch(({ code }: LatchkeyError) => code));
    }
    expect([...codes]).toEqual(['QUOTE_TRUNCATED']);
    for (const length of [0, 1, 47, 48, 632, 1000, quote.length - 1]) {
      expect(await withQuote(quote.subarray(0, length))).toMatchObject({ status: 422 });
    }
    await expectRefused(await withQuote(quote.subarray(0, 700)), 'QUOTE_TRUNCATED');
  });

  it('trailing bytes are refused, including zeros', async () => {
    await expectRefused(await withQuote(Uint8Array.of(...quoteBytes(attempt), 0)), 'QUOTE_TRAILING_BYTES');
  });

  it('a quote above the size limit is refused', async () => {
    await expectRefused(await withQuote(new Uint8Array(16_385)), 'QUOTE_TOO_LARGE');
  });

  it('an SGX quote is refused', async () => {
    await expectRefused(await withQuote(quoteBytes(attempt).with(0, 3)), 'QUOTE_UNSUPPORTED');
  });

  it('a quote under another root is refused', async () => {
    const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(9) });
    const body = { mrConfigId: world.trustHash };
    await expectRefused(
      await withQuote(pki.quote({ reportData: attempt.reportData, body })),
      'ROOT_NOT_TRUSTED',
    );
  });

  it('a quote with one flipped bit in its signature or in its body is refused', async () => {
    const quote = quoteBytes(attempt);
    const signature = 48 + 584 + 4;
    await expectRefused(
      await withQuote(quote.with(signature + 10, (quote[signature + 10] ?? 0) ^ 1)),
      'QUOTE_SIGNATURE_INVALID',
    );
    const mrTd = 48 + 136;
    const body = await withQuote(quote.with(mrTd, (quote[mrTd] ?? 0) ^ 1));
    expect(body.json['code']).toBe('QUOTE_SIGNATURE_INVALID');
  });

  it.each([
    ['a debug TD', { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) }, 'TD_DEBUG'],
    ['another image', { mrTd: new Uint8Array(48).fill(7) }, 'MEASUREMENT_REFUSED'],
    ['another runtime register', { rtMr3: new Uint8Array(48).fill(7) }, 'MEASUREMENT_REFUSED'],
    ['another trust section', { mrConfigId: new Uint8Array(48).fill(7) }, 'TRUST_SECTION_REFUSED'],
    ['no trust section', { mrConfigId: new Uint8Array(48) }, 'TRUST_SECTION_REFUSED'],
  ] as const)('a quote of %s is refused', async (_name, body, code) => {
    const quote = world.quote({ reportData: attempt.reportData, body });
    await expectRefused(await withQuote(quote), code);
  });
});
