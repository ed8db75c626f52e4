import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeChallengeRequest, decodeKeyRequest, parseWire } from '../../../src/protocol/decode.ts';
import { PLAIN_SLOT_ID } from '../../../src/protocol/report-data.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const account = `0x${'11'.repeat(32)}`;
const ephemeralPublicKey = `0x${'09'.repeat(32)}`;
const nonce = `0x${'22'.repeat(32)}`;
const request = {
  accountId: account,
  ephemeralPublicKey,
  servers: [{ server: account, nonce }],
  quote: 'AAAA',
};

describe('a body of JSON', () => {
  const schema = z.strictObject({ inner: z.strictObject({ count: z.int() }) });
  const refusalOf = (value: unknown) => thrownBy(() => parseWire(schema, value, 'whole'));

  it('is given back as the schema says', () => {
    expect(parseWire(schema, { inner: { count: 1 } })).toEqual({ inner: { count: 1 } });
  });

  it.each([
    [{ inner: { count: 'x' } }, 'inner.count', /number/],
    [{ inner: { count: 1 }, more: 2 }, 'whole', /^unknown field more$/],
    [{ inner: { count: 1, more: 2, most: 3 } }, 'inner', /^unknown field more, most$/],
    [7, 'whole', /object/],
  ])('is refused by the name of its first wrong field: %j', (value, field, observed) => {
    expect(refusalOf(value)).toMatchObject({
      code: 'FIELD_INVALID',
      field,
      observed: expect.stringMatching(observed),
    });
  });

  it('does not fill an answer with the names that it chose', () => {
    const refusal = refusalOf({ inner: { count: 1 }, ['x'.repeat(1000)]: 1 }) as Error;
    expect(refusal.message.length).toBeLessThan(250);
  });
});

describe('a request for a key', () => {
  it('may leave out slot and proof', () => {
    const decoded = decodeKeyRequest(request);
    expect(decoded).toMatchObject({ intent: 'get-or-create', recoveryProof: undefined });
    expect(decoded.servers[0]?.slotId).toBe(PLAIN_SLOT_ID);
  });

  it('has its slot and its proof as bytes', () => {
    const slotId = `0x${'33'.repeat(16)}`;
    const servers = [{ server: account, nonce, slotId }];
    const decoded = decodeKeyRequest({ ...request, servers, recoveryProof: `0x${'44'.repeat(32)}` });
    expect(decoded.servers[0]?.slotId).toEqual(new Uint8Array(16).fill(0x33));
    expect(decoded.recoveryProof).toEqual(new Uint8Array(32).fill(0x44));
  });

  it('without a challenge is refused by a code of its own, and other faults are not', () => {
    const { servers, ...bare } = request;
    expect(codeOf(() => decodeKeyRequest(bare))).toBe('CHALLENGE_MISSING');
    expect(codeOf(() => decodeKeyRequest({ quote: 1 }))).toBe('CHALLENGE_MISSING');
    const inherited = Object.create({ quote: 'AAAA' });
    for (const other of [
      { servers },
      {},
      { ...bare, servers: [] },
      null,
      undefined,
      7,
      'quote',
      [],
      inherited,
    ])
      expect(codeOf(() => decodeKeyRequest(other))).toBe('FIELD_INVALID');
  });

  it.each([
    ['a key', decodeKeyRequest, request],
    ['a challenge', decodeChallengeRequest, { accountId: account, ephemeralPublicKey }],
  ])('for %s has an ephemeral key to which something can be sealed', (_what, decode, body) => {
    expect(codeOf(() => decode(body))).toBe('none');
    const weak = { ...body, ephemeralPublicKey: `0x${'00'.repeat(32)}` };
    expect(codeOf(() => decode(weak))).toBe('HPKE_PUBLIC_KEY_INVALID');
  });
});
