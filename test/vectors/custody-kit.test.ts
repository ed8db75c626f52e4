import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import { CustodyBench } from '../../mock-tdx/tamper-kit/custody-bench.ts';
import { type CustodyCase, custodyCases } from '../../mock-tdx/tamper-kit/custody-cases.ts';
import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { makeAnswer, openOwnPart } from '../../src/custody/answer.ts';
import { judgeRequest } from '../../src/custody/judge-request.ts';
import { decodeRequest } from '../../src/custody/request.ts';
import { custodyCodes } from '../../src/errors/codes/custody.ts';
import { errorCodes } from '../../src/errors/codes.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { readCustody } from '../../src/keyslots/custody-codec.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { parseTrustSection, type TrustSection } from '../../src/trust/trust-section.ts';

const NOW_MS = Date.UTC(2026, 10, 30, 12);
const vector = JSON.parse(readFileSync(new URL('custody.json', import.meta.url), 'utf8'));
const custody = readCustody(vector.custody, 'custody');
const account = AccountId.parse(vector.account, 'account');
const alice = new SecretBytes(parsePrefixedHex(vector.custodians[0].seed, 32, 'seed'));
const trust = parseTrustSection({
  chain: {
    genesisHash: `0x${'ab'.repeat(32)}`,
    checkpoint: {
      blockNumber: 100,
      blockHash: `0x${'01'.repeat(32)}`,
      authoritySetId: 1,
      authorities: [`0x${'02'.repeat(32)}`],
    },
  },
});
const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(4) });
const bench = new CustodyBench({
  pki,
  mrConfigId: trustHash(trust),
  home: parsePrefixedHex(vector.platform, 16, 'platform'),
  nowMs: NOW_MS,
  fields: {
    account,
    ss58: encodeSs58(account),
    storeId: parsePrefixedHex(vector.storeId, 16, 'storeId'),
    generation: vector.generation,
    threshold: custody.threshold,
    parts: custody.parts,
    set: custody.set,
  },
});

/** Everything that a custodian's tool does with a request, up to the answer. */
function answer({ make, words }: CustodyCase): string {
  const { platforms, laterMs = 0, revoked = [], endorsed = [], moves = [] } = words(bench);
  const rules = { recover: 'any', servers: 'registered', clients: 'any', ...platforms };
  // The cases hold the words of the configuration. The hash is that of the section as it was parsed.
  const section: TrustSection = Object.assign(trust, { platforms: rules as TrustSection['platforms'] });
  const inForce = {
    trustHashes: [],
    measurements: [],
    minimumTcbEvaluationDataNumber: 0,
    endorsed: endorsed.map((platform) => ({ platform, owner: 'tests', place: 'here', since: NOW_MS })),
    revoked,
    moves: [...moves],
    rekey: undefined,
  };
  try {
    const judged = judgeRequest(decodeRequest(make(bench)), {
      trust: section,
      measurements: [measurementId(developmentMeasurements)],
      verifier: new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) }),
      collateral: pki.collateral({ nowMs: NOW_MS }),
      nowMs: NOW_MS + laterMs,
      manifest: { serial: 1, issuedAtMs: NOW_MS, isDisputed: false, inForce },
    });
    makeAnswer(judged, openOwnPart(judged.request, alice));
    return 'answered';
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
}

describe('requests to custodians in the tamper kit', () => {
  it('have at least 30 defects, no name twice, and only existing codes', () => {
    const codes = custodyCases.map(({ expected }) => expected).filter((code) => code !== 'answered');
    expect(codes.length).toBeGreaterThanOrEqual(30);
    expect(codes.filter((code) => !Object.hasOwn(errorCodes, code))).toEqual([]);
    expect(new Set(custodyCases.map(({ name }) => name)).size).toBe(custodyCases.length);
  });

  it('show every code by which a request itself is refused', () => {
    // The rest are about parts, answers, the node, and what a person at the command line decides.
    const elsewhere = [
      'CUSTODY_ABSENT',
      'CUSTODY_PART_WRONG',
      'CUSTODY_UNCONFIRMED',
      'CUSTODY_REQUEST_UNKNOWN',
      'CUSTODY_ANSWER_WRONG',
      'CUSTODY_NOT_NEEDED',
    ];
    const shown = new Set(custodyCases.map(({ expected }) => expected));
    expect(Object.keys(custodyCodes).filter((code) => !shown.has(code) && !elsewhere.includes(code))).toEqual(
      [],
    );
  });

  it.each(custodyCases)('$name: $about', (one) => {
    expect(answer(one)).toBe(one.expected);
  });
});
