import { describe, expect, it } from 'vitest';
import { authority, createAuthorities } from '../../../mock-tdx/pki/authorities.ts';
import { Seed } from '../../../mock-tdx/pki/seed.ts';
import { SigningKey } from '../../../mock-tdx/pki/signing-key.ts';
import { parseCollateralDocuments } from '../../../src/tdx/collateral.ts';
import { QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import {
  collateralWith,
  pki,
  plainCollateral,
  plainQuote,
  qeIdentityWith,
  tcbInfoWith,
  trustRoot,
  verdictOf,
  verifyInWorld,
  worldNowMs,
} from '../../support/tdx-world.ts';
import { codeOf } from '../../support/thrown.ts';

const { root, tcbSigner } = pki.authorities;
const strangers = createAuthorities(new Seed(new Uint8Array(32).fill(1)));
const strayKey = SigningKey.derive(new Seed(new Uint8Array(32).fill(2)), 'stray');

describe('1c collateral', () => {
  it('K1, K8: signatures over the exact bytes, by the right key', () => {
    const good = plainCollateral();
    const spaced = { ...good, tcb_info: `${good.tcb_info} ` };
    expect(verdictOf(plainQuote(), spaced)).toBe('TCB_INFO_SIGNATURE_INVALID');
    expect(verdictOf(plainQuote(), { ...good, qe_identity: good.qe_identity.replace('6', '5') })).toBe(
      'QE_IDENTITY_SIGNATURE_INVALID',
    );
    expect(verdictOf(plainQuote(), { ...good, tcb_info_signature: 'zz' })).toBe('TCB_INFO_SIGNATURE_INVALID');
    expect(verdictOf(plainQuote(), { ...good, tcb_info_signature: good.tcb_info_signature.slice(2) })).toBe(
      'TCB_INFO_SIGNATURE_INVALID',
    );
    expect(verdictOf(plainQuote(), { ...good, tcb_info: 'ü' })).toBe('TCB_INFO_SIGNATURE_INVALID');
    const stranger = collateralWith(({ tcbInfo }) => ({
      tcbInfo: { ...tcbInfo, issuerChain: [strangers.tcbSigner.certificate, root.certificate] },
    }));
    expect(verdictOf(plainQuote(), stranger)).toBe('CERTIFICATE_SIGNATURE_INVALID');
  });

  it('two TCB signers are both checked', () => {
    const second = authority(strayKey, root.key, {
      ...tcbSigner.spec,
      publicKey: strayKey.publicKey,
      serialNumber: Uint8Array.of(9),
    });
    const twoSigners = (revoked: readonly Uint8Array[]) =>
      collateralWith(({ qeIdentity, rootCaCrl }) => ({
        qeIdentity: { ...qeIdentity, signer: strayKey, issuerChain: [second.certificate, root.certificate] },
        rootCaCrl: { ...rootCaCrl, spec: { ...rootCaCrl.spec, revokedSerialNumbers: [...revoked] } },
      }));
    expect(verdictOf(plainQuote(), twoSigners([]))).toBe('none');
    expect(verdictOf(plainQuote(), twoSigners([Uint8Array.of(9)]))).toBe('CERTIFICATE_REVOKED');
  });

  it.each([
    ['id', { id: 'SGX' }],
    ['version', { version: 2 }],
    ['tcbType', { tcbType: 1 }],
    ['issueDate', { issueDate: '2026-01-01' }],
    ['issueDate that does not exist', { issueDate: '2026-02-30T00:00:00Z' }],
    ['nextUpdate', { nextUpdate: 5 }],
    ['issueDate of month 13', { issueDate: '2026-13-01T00:00:00Z' }],
    ['fmspc length', { fmspc: '00' }],
    ['fmspc with 0x', { fmspc: '0x0102030405' }],
    ['pceId', { pceId: null }],
    ['evaluation number', { tcbEvaluationDataNumber: -1 }],
    ['fraction', { tcbEvaluationDataNumber: 1.5 }],
    ['tdxModule', { tdxModule: 'none' }],
    ['tdxModule array', { tdxModule: [] }],
    ['module identities empty', { tdxModuleIdentities: [] }],
    ['levels absent', { tcbLevels: undefined }],
    ['levels empty', { tcbLevels: [] }],
    ['levels of null', { tcbLevels: [null] }],
  ] as const)('K2, K3: TCB info with a wrong %s', (_, change) => {
    expect(
      verdictOf(
        plainQuote(),
        tcbInfoWith(() => change),
      ),
    ).toBe('TCB_INFO_INVALID');
  });

  it('K3: every level is complete, once, and of a known status', () => {
    const withLevels = (edit: (levels: readonly object[]) => readonly object[]) =>
      tcbInfoWith(({ tcbLevels }) => ({ tcbLevels: edit(tcbLevels) }));
    type Level = { readonly tcb: { readonly sgxtcbcomponents: readonly object[] } };
    const editLast = (change: (level: Level) => object) =>
      withLevels((levels) =>
        levels.map((level, index) =>
          index === levels.length - 1 ? { ...level, ...change(level as Level) } : level,
        ),
      );
    const invalid = [
      withLevels((levels) => [...levels, ...levels.slice(0, 1)]),
      editLast(() => ({ tcbStatus: 'Fine' })),
      editLast(() => ({ advisoryIDs: 'INTEL-SA-1' })),
      editLast(() => ({ advisoryIDs: [1] })),
      editLast(({ tcb }) => ({ tcb: { ...tcb, sgxtcbcomponents: tcb.sgxtcbcomponents.slice(1) } })),
      editLast(({ tcb }) => ({
        tcb: { ...tcb, sgxtcbcomponents: tcb.sgxtcbcomponents.map(() => ({ svn: 256 })) },
      })),
      editLast(({ tcb }) => ({
        tcb: { ...tcb, sgxtcbcomponents: tcb.sgxtcbcomponents.map(() => ({ svn: 0, type: 1 })) },
      })),
      tcbInfoWith(({ tdxModuleIdentities: [first] }) => ({ tdxModuleIdentities: [first, first] })),
      tcbInfoWith(({ tdxModuleIdentities: [first] }) => ({
        tdxModuleIdentities: [{ ...first, id: 'TDX_3' }],
      })),
      tcbInfoWith(({ tdxModuleIdentities: [first] }) => ({
        tdxModuleIdentities: [
          { ...first, tcbLevels: [...(first?.tcbLevels ?? []), ...(first?.tcbLevels ?? [])] },
        ],
      })),
    ];
    for (const [index, collateral] of invalid.entries())
      expect(verdictOf(plainQuote(), collateral), `${index}`).toBe('TCB_INFO_INVALID');
  });

  it('K3: the order of levels in the JSON does not matter', () => {
    const shuffled = tcbInfoWith(({ tcbLevels, tdxModuleIdentities }) => ({
      tcbLevels: [...tcbLevels].reverse(),
      tdxModuleIdentities: [...tdxModuleIdentities]
        .reverse()
        .map((identity) => ({ ...identity, tcbLevels: [...identity.tcbLevels].reverse() })),
    }));
    expect(verifyInWorld(plainQuote(), shuffled).tcbStatus).toBe('UpToDate');
  });

  it('JSON that is signed and none', () => {
    const signed = (content: unknown) =>
      collateralWith(({ tcbInfo }) => ({ tcbInfo: { ...tcbInfo, content: content as never } }));
    expect(verdictOf(plainQuote(), signed('text'))).toBe('TCB_INFO_INVALID');
    const broken = '{';
    const signature = Buffer.from(tcbSigner.key.sign(Buffer.from(broken))).toString('hex');
    const set = parseCollateralDocuments({
      ...plainCollateral(),
      tcb_info: broken,
      tcb_info_signature: signature,
    });
    expect(verdictOf(plainQuote(), set)).toBe('TCB_INFO_INVALID');
  });

  it.each([
    ['id', { id: 'QE' }],
    ['version', { version: 3 }],
    ['mask', { attributesMask: 'FF' }],
    ['levels', { tcbLevels: [] }],
    [
      'level twice',
      {
        tcbLevels: [1, 2].map(() => ({
          tcb: { isvsvn: 1 },
          tcbDate: '2026-01-01T00:00:00Z',
          tcbStatus: 'UpToDate',
        })),
      },
    ],
  ] as const)('K8: QE identity with a wrong %s', (_, change) => {
    expect(
      verdictOf(
        plainQuote(),
        qeIdentityWith(() => change),
      ),
    ).toBe('QE_IDENTITY_INVALID');
  });

  it('K6, K7: FMSPC and PCEID are those of the PCK certificate', () => {
    expect(
      verdictOf(
        plainQuote(),
        tcbInfoWith(() => ({ fmspc: '010203040506' })),
      ),
    ).toBe('FMSPC_MISMATCH');
    expect(
      verdictOf(
        plainQuote(),
        tcbInfoWith(() => ({ pceId: '0001' })),
      ),
    ).toBe('PCEID_MISMATCH');
  });

  it('K9: evaluation numbers are equal and not below the minimum', () => {
    expect(
      verdictOf(
        plainQuote(),
        tcbInfoWith(() => ({ tcbEvaluationDataNumber: 19 })),
      ),
    ).toBe('TCB_EVALUATION_MISMATCH');
    expect(verdictOf(undefined, undefined, { minimumTcbEvaluationDataNumber: 21 })).toBe(
      'TCB_EVALUATION_TOO_OLD',
    );
    expect(verdictOf(undefined, undefined, { minimumTcbEvaluationDataNumber: 20 })).toBe('none');
  });

  it('a set alone is checked against what the asker expects', () => {
    const verifier = new QuoteVerifier({ trustRoot });
    const check = (expected: object) =>
      codeOf(() => verifier.checkCollateral(plainCollateral(), { nowMs: worldNowMs, ...expected }));
    expect(check({ fmspc: pki.fmspc, ca: 'platform', pceId: new Uint8Array(2), collateralGraceMs: 5 })).toBe(
      'none',
    );
    expect(check({ fmspc: new Uint8Array(6) })).toBe('FMSPC_MISMATCH');
    expect(check({ pceId: Uint8Array.of(1, 0) })).toBe('PCEID_MISMATCH');
    expect(check({ ca: 'processor' })).toBe('CRL_ISSUER_MISMATCH');
    expect(check({ minimumTcbEvaluationDataNumber: 21 })).toBe('TCB_EVALUATION_TOO_OLD');
  });

  it('documents are nine texts of bounded size', () => {
    const good = plainCollateral();
    for (const input of [
      null,
      'text',
      {},
      { ...good, pck_crl: 5 },
      { ...good, tcb_info_signature: '0'.repeat(129) },
    ]) {
      expect(codeOf(() => parseCollateralDocuments(input))).toBe('COLLATERAL_MALFORMED');
    }
    expect(parseCollateralDocuments({ ...good, other: 1 })).toEqual(good);
    expect(verdictOf(plainQuote(), { ...good, pck_crl: undefined } as never)).toBe('COLLATERAL_MALFORMED');
  });
});
