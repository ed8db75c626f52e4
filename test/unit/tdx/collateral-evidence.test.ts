import { describe, expect, it } from 'vitest';
import { authority, createAuthorities } from '../../../mock-tdx/pki/authorities.ts';
import { pem } from '../../../mock-tdx/pki/pem.ts';
import { Seed } from '../../../mock-tdx/pki/seed.ts';
import { SigningKey } from '../../../mock-tdx/pki/signing-key.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../../../src/tdx/collateral.ts';
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
import { codeOf, thrownBy } from '../../support/thrown.ts';

const { root, tcbSigner } = pki.authorities;
const strangers = createAuthorities(new Seed(new Uint8Array(32).fill(1)));
const strayKey = SigningKey.derive(new Seed(new Uint8Array(32).fill(2)), 'stray');

describe('1c collateral', () => {
  it('K1, K8: signatures must cover the exact bytes, by the right key', () => {
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
    ['issueDate of the year 99', { issueDate: '0099-01-01T00:00:00Z' }],
    ['issueDate at 24 hours', { issueDate: '2026-01-01T24:00:00Z' }],
    ['issueDate in local time', { issueDate: '2026-01-01T00:00:00' }],
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

  it('K3: every level must be complete, unique and of a known status', () => {
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
        tdxModuleIdentities: [first, { ...first, id: first?.id.toLowerCase() }],
      })),
      tcbInfoWith(({ tdxModuleIdentities: [first] }) => ({ tdxModuleIdentities: [{ ...first, id: 3 }] })),
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

  /** A set with exactly this text as its TCB info, properly signed. */
  const signedText = (tcb_info: string, signedBytes: string = tcb_info) =>
    parseCollateralDocuments({
      ...plainCollateral(),
      tcb_info,
      tcb_info_signature: Buffer.from(tcbSigner.key.sign(Buffer.from(signedBytes))).toString('hex'),
    });

  it('signed text that is not the expected JSON is refused', () => {
    const signed = (content: unknown) =>
      collateralWith(({ tcbInfo }) => ({ tcbInfo: { ...tcbInfo, content: content as never } }));
    expect(verdictOf(plainQuote(), signed('text'))).toBe('TCB_INFO_INVALID');
    expect(verdictOf(plainQuote(), signedText('{'))).toBe('TCB_INFO_INVALID');
  });

  it('signed JSON may have any formatting: spaces, order, more fields, other characters', () => {
    const content = JSON.parse(plainCollateral().tcb_info) as Record<string, unknown>;
    const { fmspc, ...others } = content;
    for (const text of [
      JSON.stringify(content, null, '\t').replaceAll('\n', '\r\n'),
      ` ${JSON.stringify(content)}\n`,
      JSON.stringify({ note: 'für später ☂', ...others, fmspc }),
      JSON.stringify({
        ...content,
        fmspc: String(fmspc).toLowerCase(),
        $schema: null,
        nested: { id: 'SGX' },
      }),
      JSON.stringify(content)
        .replaceAll('"', () => '"')
        .replace('"id"', '"\\u0069d"'),
    ])
      expect(verdictOf(plainQuote(), signedText(text)), text.slice(0, 40)).toBe('none');
    const compact = JSON.stringify(content);
    expect(verdictOf(plainQuote(), signedText(` ${compact}`, compact))).toBe('TCB_INFO_SIGNATURE_INVALID');
  });

  it('the parsed text equals the signed bytes, also for a text that UTF-8 cannot represent', () => {
    const withAdvisory = (id: string) =>
      plainCollateral().tcb_info.replaceAll('"tcbLevels":[{', `"tcbLevels":[{"advisoryIDs":["${id}"],`);
    const advisories = (set: CollateralDocuments) => verifyInWorld(plainQuote(), set).advisoryIds;
    const replaced = withAdvisory('\ufffd');
    expect(advisories(signedText(replaced))).toEqual(['\ufffd']);
    // Both texts have the same UTF-8 bytes: the lone half of a pair becomes the replacement character.
    expect(advisories(signedText(withAdvisory('\ud800'), replaced))).toEqual(['\ufffd']);
  });

  it('CRLs may be PEM or hex of either case, as in Intel’s verifier', () => {
    const good = plainCollateral();
    const asPem = (hex: string, ending = '\n') =>
      pem('X509 CRL', Buffer.from(hex, 'hex')).replaceAll('\n', ending);
    for (const change of [
      { pck_crl: asPem(good.pck_crl), root_ca_crl: asPem(good.root_ca_crl, '\r\n') },
      { pck_crl: good.pck_crl.toUpperCase(), root_ca_crl: good.root_ca_crl.toUpperCase() },
      { pck_crl: `\n${asPem(good.pck_crl)}\n` },
    ])
      expect(verdictOf(plainQuote(), { ...good, ...change })).toBe('none');
    for (const pck_crl of [
      asPem(good.pck_crl).replace('X509 CRL', 'CERTIFICATE'),
      asPem(good.pck_crl).replace('MII', 'M!I'),
      `x${asPem(good.pck_crl)}`,
      asPem(good.pck_crl) + asPem(good.pck_crl),
      `${good.pck_crl}\n`,
    ])
      expect(verdictOf(plainQuote(), { ...good, pck_crl })).toBe('COLLATERAL_MALFORMED');
  });

  it('different documents never share a cache entry, also with the same concatenated text', () => {
    const good = plainCollateral();
    const verifier = new QuoteVerifier({ trustRoot });
    const verdict = (set: object) =>
      codeOf(() => verifier.verify(plainQuote(), { collateral: { ...good, ...set }, nowMs: worldNowMs }));
    expect(verdict({})).toBe('none');
    expect(verdict({ pck_crl: good.root_ca_crl })).toBe('CRL_ISSUER_MISMATCH');
    expect(verdict({ root_ca_crl: good.pck_crl })).toBe('CRL_ISSUER_MISMATCH');
    expect(verdict({ tcb_info_signature: '', tcb_info: good.tcb_info + good.tcb_info_signature })).toBe(
      'TCB_INFO_SIGNATURE_INVALID',
    );
    expect(verdict({ qe_identity: good.tcb_info, qe_identity_signature: good.tcb_info_signature })).toBe(
      'QE_IDENTITY_INVALID',
    );
    expect(verdict({ pck_crl_issuer_chain: good.tcb_info_issuer_chain })).toBe('CERTIFICATE_CHAIN_INVALID');
    expect(verdict({})).toBe('none');
  });

  it('module identities of unknown kinds do not affect the known ones, as in Intel’s verifier', () => {
    const future = tcbInfoWith(({ tdxModuleIdentities: [first, ...rest] }) => ({
      tdxModuleIdentities: [{ ...first, id: 'TDX_3X' }, ...rest, first],
    }));
    expect(verdictOf(plainQuote(), future)).toBe('none');
  });

  it.each([
    ['OutOfDate', 'OutOfDate'],
    ['Revoked', 'Revoked'],
    ['UpToDate', 'UpToDate'],
  ])('K8: a QE level of status %s counts as %s, as in Intel’s verifier', (tcbStatus, expected) => {
    const identity = qeIdentityWith(({ tcbLevels }) => ({
      tcbLevels: tcbLevels.map((level, index) => (index === 0 ? { ...level, tcbStatus } : level)),
    }));
    expect(verifyInWorld(plainQuote(), identity).tcbStatus).toBe(expected);
  });

  it.each(['ConfigurationNeeded', 'OutOfDateConfigurationNeeded', 'SWHardeningNeeded', 'Retired'])(
    'K8: a QE level of status %s makes the identity invalid, also when it is not reached',
    (tcbStatus) => {
      for (const changed of [0, 2]) {
        const identity = qeIdentityWith(({ tcbLevels }) => ({
          tcbLevels: tcbLevels.map((level, index) => (index === changed ? { ...level, tcbStatus } : level)),
        }));
        expect(verdictOf(plainQuote(), identity)).toBe('QE_IDENTITY_INVALID');
      }
    },
  );

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
    [
      'status of a level',
      {
        tcbLevels: [{ tcb: { isvsvn: 1 }, tcbDate: '2026-01-01T00:00:00Z', tcbStatus: 'SWHardeningNeeded' }],
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

  it('K6, K7: FMSPC and PCEID must equal those of the PCK certificate', () => {
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

  it('K9: evaluation numbers may differ, the lower one counts, and each must reach the minimum', () => {
    const olderTcbInfo = tcbInfoWith(() => ({ tcbEvaluationDataNumber: 19 }));
    const olderQeIdentity = qeIdentityWith(() => ({ tcbEvaluationDataNumber: 18 }));
    expect(verifyInWorld(plainQuote(), olderTcbInfo)).toMatchObject({
      tcbEvaluationDataNumber: 19,
      collateral: { evaluationNumbers: { tcbInfo: 19, qeIdentity: 20 } },
    });
    expect(verifyInWorld(plainQuote(), olderQeIdentity)).toMatchObject({
      tcbEvaluationDataNumber: 18,
      collateral: { evaluationNumbers: { tcbInfo: 20, qeIdentity: 18 } },
    });
    const minimum = { minimumTcbEvaluationDataNumber: 20 };
    expect(thrownBy(() => verifyInWorld(plainQuote(), olderTcbInfo, minimum))).toMatchObject({
      code: 'TCB_EVALUATION_TOO_OLD',
      field: 'tcbEvaluationDataNumber of the TCB info',
    });
    expect(thrownBy(() => verifyInWorld(plainQuote(), olderQeIdentity, minimum))).toMatchObject({
      code: 'TCB_EVALUATION_TOO_OLD',
      field: 'tcbEvaluationDataNumber of the QE identity',
    });
    expect(verdictOf(undefined, undefined, { minimumTcbEvaluationDataNumber: 21 })).toBe(
      'TCB_EVALUATION_TOO_OLD',
    );
    expect(verdictOf(undefined, undefined, { minimumTcbEvaluationDataNumber: 20 })).toBe('none');
    expect(verdictOf(undefined, undefined, { minimumTcbEvaluationDataNumber: Number.NaN })).toBe(
      'TCB_EVALUATION_TOO_OLD',
    );
  });

  it('a set without a quote is checked against the expected platform', () => {
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
      Object.create(good),
    ]) {
      expect(codeOf(() => parseCollateralDocuments(input))).toBe('COLLATERAL_MALFORMED');
    }
    expect(parseCollateralDocuments({ ...good, other: 1 })).toEqual(good);
    expect(verdictOf(plainQuote(), { ...good, pck_crl: undefined } as never)).toBe('COLLATERAL_MALFORMED');
  });
});
