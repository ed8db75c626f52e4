import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AccountId,
  BlockHash,
  InstanceId,
  Nonce,
  SlotId,
  X25519PublicKey,
} from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import {
  attestationReportData,
  type BoundParameters,
  requestReportData,
} from '../../../src/protocol/report-data.ts';
import { codeOf } from '../../support/thrown.ts';

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const entry = (byte: number) => ({
  server: AccountId.of(filled(32, byte)),
  nonce: Nonce.of(filled(32, byte + 100)),
  slotId: SlotId.of(filled(16, byte + 50)),
});
const base: BoundParameters = {
  account: AccountId.of(filled(32, 1)),
  ephemeralPublicKey: X25519PublicKey.of(filled(32, 2)),
  intent: 'create',
  servers: [entry(3), entry(4)],
};
const digest = (changes: Partial<BoundParameters> = {}): string =>
  toHex(requestReportData({ ...base, ...changes }));

describe('report data of a request', () => {
  it('does not depend on the order in which the servers are given', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(numbers, fc.infiniteStream(fc.nat()), (chosen, shuffle) => {
        const servers = chosen.map(entry);
        const keyed = servers.map((server) => ({ server, key: shuffle.next().value ?? 0 }));
        const shuffled = keyed.sort((a, b) => a.key - b.key).map(({ server }) => server);
        expect(digest({ servers: shuffled })).toBe(digest({ servers }));
      }),
    );
  });

  it('changes with every parameter', () => {
    const [first = entry(3)] = base.servers;
    const all = [
      digest(),
      digest({ account: AccountId.of(filled(32, 9)) }),
      digest({ ephemeralPublicKey: X25519PublicKey.of(filled(32, 9)) }),
      digest({ intent: 'recover' }),
      digest({ intent: 'get-or-create' }),
      digest({ servers: [first] }),
      digest({ servers: [{ ...first, nonce: Nonce.of(filled(32, 9)) }, entry(4)] }),
      digest({ servers: [{ ...first, slotId: SlotId.of(filled(16, 9)) }, entry(4)] }),
      digest({ servers: [entry(3), entry(5)] }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  it.each([0, 17])('%i servers are refused', (count) => {
    const servers = Array.from({ length: count }, (_, index) => entry(index + 1));
    expect(codeOf(() => requestReportData({ ...base, servers }))).toBe('FIELD_INVALID');
  });

  it('a repeated server is refused, also with different challenges and other servers between', () => {
    const servers = [entry(3), entry(4), { ...entry(3), nonce: Nonce.of(filled(32, 9)) }];
    expect(codeOf(() => requestReportData({ ...base, servers }))).toBe('FIELD_INVALID');
  });

  it('is never equal to the report data of an attestation', () => {
    const attested = attestationReportData({
      server: base.account,
      x25519PublicKey: base.ephemeralPublicKey,
      instanceId: InstanceId.of(filled(16, 1)),
      finalized: { number: 1, hash: BlockHash.of(filled(32, 1)) },
    });
    expect(toHex(attested)).not.toBe(digest());
  });
});
