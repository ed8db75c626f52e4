import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { defaultPolicy } from '../../../src/tdx/policy.ts';
import { checkedHex } from '../../../src/trust/section-values.ts';
import {
  canonicalTrustSection,
  judgeOwnTrustHash,
  judgeTrustHash,
  trustHash,
} from '../../../src/trust/trust-hash.ts';
import { parseTrustSection, tdPolicyOf } from '../../../src/trust/trust-section.ts';

const genesisHash = `0x${'ab'.repeat(32)}`;
const minimal = { chain: { genesisHash } };
const hashOf = (input: unknown): string => toHex(trustHash(parseTrustSection(input)));
const id = (fill: string, bytes = 32): string => `0x${fill.repeat(bytes)}`;

/** The TD policy's defaults as they are hashed. A change here changes the hash of every fleet. */
const defaultTcb = {
  acceptedTcbStatuses: ['UpToDate'],
  tcbGraceDays: 0,
  deniedAdvisoryIds: [],
  minimumTcbEvaluationDataNumber: 0,
  requireSeptVeDisable: true,
  allowPks: true,
  allowPerfmon: true,
  allowKl: false,
  extraTdAttributes: '0x0',
  requiredXfam: '0x3',
  allowedXfam: `0x${defaultPolicy.allowedXfam.toString(16)}`,
  mrServiceTd: [`0x${'00'.repeat(48)}`],
};

describe('trust section', () => {
  it('fills in the defaults', () => {
    expect(parseTrustSection(minimal)).toEqual({
      version: 1,
      chain: { genesisHash },
      measurement: { policy: 'own' },
      tcb: defaultTcb,
      minimumThreshold: 2,
      bootstrap: false,
      freshness: {
        attestationMaxAgeMs: 900_000,
        chainHeadMaxAgeMs: 600_000,
        clockToleranceMs: 120_000,
        tcbGraceMs: 2_592_000_000,
        collateralGraceMs: 0,
        maxTimeJumpMs: 86_400_000,
      },
      acceptedTrustHashes: [],
    });
  });

  it.each([
    ['no chain', {}, 'trust.chain'],
    ['unknown key', { ...minimal, minimumTreshold: 2 }, 'trust'],
    ['short genesis hash', { chain: { genesisHash: '0xab' } }, 'trust.chain.genesisHash'],
    ['genesis hash without 0x', { chain: { genesisHash: 'ab'.repeat(32) } }, 'trust.chain.genesisHash'],
    ['threshold 1 without bootstrap', { ...minimal, minimumThreshold: 1 }, 'trust.minimumThreshold'],
    ['threshold 0', { ...minimal, minimumThreshold: 0, bootstrap: true }, 'trust.minimumThreshold'],
    ['threshold 17', { ...minimal, minimumThreshold: 17 }, 'trust.minimumThreshold'],
    [
      'empty pinned list',
      { ...minimal, measurement: { policy: 'pinned', accepted: [] } },
      'trust.measurement',
    ],
    ['pinned list under own', { ...minimal, measurement: { policy: 'own', accepted: [id('00')] } }, 'trust'],
    ['seconds for milliseconds', { ...minimal, freshness: { clockToleranceMs: 5 } }, 'trust.freshness'],
    ['lease without a length', { ...minimal, fencing: {} }, 'trust.fencing.leaseMs'],
    ['lease that is too short', { ...minimal, fencing: { leaseMs: 9_999 } }, 'trust.fencing.leaseMs'],
    // A section that says the default would have another hash and no other meaning.
    ['audit log that is not required', { ...minimal, audit: { required: false } }, 'trust.audit.required'],
    ['audit section without a rule', { ...minimal, audit: {} }, 'trust.audit.required'],
    ['trust hash of 32 bytes', { ...minimal, acceptedTrustHashes: [id('00')] }, 'trust.acceptedTrustHashes'],
    ['unknown TCB field', { ...minimal, tcb: { acceptRevoked: true } }, 'trust.tcb.acceptRevoked'],
    ['Revoked', { ...minimal, tcb: { acceptedTcbStatuses: ['Revoked'] } }, 'trust.tcb.acceptedTcbStatuses'],
    ['later version', { ...minimal, version: 2 }, 'trust.version'],
    ['not an object', 'own', 'trust'],
  ])('refuses %s, naming the place', (_name, input, place) => {
    try {
      parseTrustSection(input);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'TRUST_SECTION_INVALID', family: 'problem' });
      expect(error).toHaveProperty('field', expect.stringMatching(new RegExp(`^${place}`)));
    }
  });

  it('threshold 1 is accepted with the bootstrap flag, and the flag is then part of the measured hash', () => {
    const bootstrap = parseTrustSection({ ...minimal, minimumThreshold: 1, bootstrap: true });
    expect(bootstrap.minimumThreshold).toBe(1);
    expect(toHex(trustHash(bootstrap))).not.toBe(hashOf(minimal));
  });
});

it('hex that no section was checked for is misuse', () => {
  expect(() => checkedHex('0xzz')).toThrow(TypeError);
});

describe('trust hash', () => {
  it('is SHA-384 of the canonical JSON', () => {
    const section = parseTrustSection(minimal);
    const text = canonicalTrustSection(section);
    const tcb = JSON.stringify(Object.fromEntries(Object.entries(defaultTcb).sort()));
    expect(text).toBe(
      `{"acceptedTrustHashes":[],"bootstrap":false,"chain":{"genesisHash":"${genesisHash}"},` +
        '"freshness":{"attestationMaxAgeMs":900000,"chainHeadMaxAgeMs":600000,"clockToleranceMs":120000,' +
        '"collateralGraceMs":0,"maxTimeJumpMs":86400000,' +
        `"tcbGraceMs":2592000000},"measurement":{"policy":"own"},"minimumThreshold":2,"tcb":${tcb},"version":1}`,
    );
    expect(toHex(trustHash(section))).toBe(createHash('sha384').update(text).digest('hex'));
  });

  it('does not depend on the formatting of the section', () => {
    const spelled = {
      acceptedTrustHashes: [],
      freshness: { tcbGraceMs: 30 * 86_400_000 },
      minimumThreshold: 2,
      chain: { genesisHash: genesisHash.toUpperCase().replace('0X', '0x') },
    };
    expect(hashOf(spelled)).toBe(hashOf(minimal));
    const pinned = (...accepted: string[]) =>
      hashOf({ ...minimal, measurement: { policy: 'pinned', accepted } });
    expect(pinned(id('01'), id('02'))).toBe(pinned(id('02'), id('01'), id('02')));
  });

  it.each([
    ['genesis', { chain: { genesisHash: id('ac') } }],
    [
      'checkpoint',
      {
        chain: {
          genesisHash,
          checkpoint: { blockNumber: 1, blockHash: id('01'), authoritySetId: 0, authorities: [id('02')] },
        },
      },
    ],
    ['measurement policy', { ...minimal, measurement: { policy: 'chain' } }],
    ['TCB policy', { ...minimal, tcb: { acceptedTcbStatuses: ['OutOfDate'] } }],
    ['threshold', { ...minimal, minimumThreshold: 3 }],
    ['bootstrap', { ...minimal, bootstrap: true }],
    ['freshness', { ...minimal, freshness: { attestationMaxAgeMs: 1000 } }],
    ['accepted hashes', { ...minimal, acceptedTrustHashes: [id('01', 48)] }],
    ['lease', { ...minimal, fencing: { leaseMs: 10_000 } }],
    ['required audit log', { ...minimal, audit: { required: true } }],
  ])('changes with the %s', (_name, input) => {
    expect(hashOf(input)).not.toBe(hashOf(minimal));
  });

  it('includes the TD policy with its defaults, independent of its formatting', () => {
    const written = hashOf({ ...minimal, tcb: { acceptedTcbStatuses: ['UpToDate'], requiredXfam: '0x03' } });
    expect(written).toBe(hashOf(minimal));
    const listed = (...acceptedTcbStatuses: string[]) => hashOf({ ...minimal, tcb: { acceptedTcbStatuses } });
    expect(listed('UpToDate', 'OutOfDate')).toBe(listed('OutOfDate', 'UpToDate'));
    expect(listed('UpToDate', 'OutOfDate')).not.toBe(listed('UpToDate'));
  });

  it('does not change when a parsed section is parsed again', () => {
    const tcb = {
      mrTd: [id('AB', 48), id('01', 48)],
      tcbGraceDays: 7,
      deniedAdvisoryIds: ['INTEL-SA-2', 'INTEL-SA-1'],
    };
    const section = parseTrustSection({ ...minimal, tcb });
    expect(parseTrustSection(section)).toEqual(section);
    expect(tdPolicyOf(section)).toEqual({
      ...defaultPolicy,
      tcbGraceDays: 7,
      deniedAdvisoryIds: ['INTEL-SA-1', 'INTEL-SA-2'],
      measurements: new Map([['mrTd', [new Uint8Array(48).fill(1), new Uint8Array(48).fill(0xab)]]]),
    });
  });
});

describe('judging a trust hash', () => {
  const section = parseTrustSection({ ...minimal, acceptedTrustHashes: [id('11', 48)] });
  const listed = new Uint8Array(48).fill(0x11);
  const former = new Uint8Array(48).fill(0x22);

  it('accepts the own hash, a listed hash and, for recover, the former hash; no other', () => {
    judgeTrustHash(trustHash(section), { section });
    judgeTrustHash(listed, { section });
    judgeTrustHash(former, { section, keyMadeUnder: former });
    const refused = expect.objectContaining({ code: 'TRUST_SECTION_REFUSED' });
    expect(() => judgeTrustHash(former, { section })).toThrow(refused);
    expect(() => judgeTrustHash(new Uint8Array(48), { section })).toThrow(refused);
  });

  it('refuses the start of a machine that is measured with another section', () => {
    judgeOwnTrustHash(section, trustHash(section));
    expect(() => judgeOwnTrustHash(section, new Uint8Array(48))).toThrow(
      expect.objectContaining({ code: 'TRUST_HASH_MISMATCH' }),
    );
  });
});
