import type { QeIdentity } from '../collateral/qe-identity.ts';
import { intelDate, type TcbInfo, type TcbLevel } from '../collateral/tcb-info.ts';
import { DAY_MS } from './tamper-bench.ts';
import { accepted, refused, type TamperCase, tamperCase } from './tamper-case.ts';

/** TCB info with a change, signed as it then is. */
const tcbInfoCase = (
  name: string,
  row: string,
  about: string,
  change: (content: TcbInfo) => object,
  expected: TamperCase['expected'] = refused('TCB_INFO_INVALID'),
): TamperCase => tamperCase(name, row, about, (bench) => bench.tcbInfo(change), expected);

const qeIdentityCase = (
  name: string,
  row: string,
  about: string,
  change: (content: QeIdentity) => object,
  expected: TamperCase['expected'] = refused('QE_IDENTITY_INVALID'),
): TamperCase => tamperCase(name, row, about, (bench) => bench.qeIdentity(change), expected);

const withLevels =
  (change: (levels: readonly TcbLevel[]) => readonly object[]) =>
  (content: TcbInfo): object => ({ ...content, tcbLevels: change(content.tcbLevels) });

/** Changes the last level, which no good platform needs. */
const withLastLevel = (change: (level: TcbLevel) => object) =>
  withLevels((levels) => levels.map((level, index) => (index + 1 < levels.length ? level : change(level))));

const forgedTcbInfo = refused('TCB_INFO_SIGNATURE_INVALID');
const forgedQeIdentity = refused('QE_IDENTITY_SIGNATURE_INVALID');

const signatureCases: readonly TamperCase[] = [
  tamperCase(
    'tcb-info-unsigned',
    'K1',
    'The signature of the TCB info is all zero.',
    (bench) => bench.documents((set) => ({ ...set, tcb_info_signature: '0'.repeat(128) })),
    forgedTcbInfo,
  ),
  tamperCase(
    'tcb-info-altered',
    'K1',
    'A level was improved after signing.',
    (bench) =>
      bench.documents((set) => ({ ...set, tcb_info: set.tcb_info.replace('"OutOfDate"', '"UpToDate"') })),
    forgedTcbInfo,
  ),
  tamperCase(
    'tcb-info-reformatted',
    'K1',
    'The same content with a space after each colon: other bytes than were signed.',
    (bench) => bench.documents((set) => ({ ...set, tcb_info: set.tcb_info.replaceAll('":', '": ') })),
    forgedTcbInfo,
  ),
  tamperCase(
    'tcb-info-with-signature-of-qe-identity',
    'K1',
    'The two signatures have changed places.',
    (bench) =>
      bench.documents((set) => ({
        ...set,
        tcb_info_signature: set.qe_identity_signature,
        qe_identity_signature: set.tcb_info_signature,
      })),
    forgedTcbInfo,
  ),
  tamperCase(
    'qe-identity-unsigned',
    'K8',
    'The signature of the QE identity is all zero.',
    (bench) => bench.documents((set) => ({ ...set, qe_identity_signature: '0'.repeat(128) })),
    forgedQeIdentity,
  ),
  tamperCase(
    'qe-identity-empty-object',
    'K8',
    'The QE identity is {}, which a known verifier takes for no demands (GHSA-796p-j2gh-9m2q).',
    (bench) => bench.documents((set) => ({ ...set, qe_identity: '{}' })),
    forgedQeIdentity,
  ),
  tamperCase(
    'qe-identity-altered',
    'K8',
    'The signer of the quoting enclave was replaced after signing.',
    (bench) =>
      bench.documents((set) => ({ ...set, qe_identity: set.qe_identity.replace(/DC9E2A7C/, 'DEADBEEF') })),
    forgedQeIdentity,
  ),
];

const tcbInfoCases: readonly TamperCase[] = [
  tcbInfoCase('tcb-info-version-2', 'K2', 'TCB info of version 2.', (content) => ({
    ...content,
    version: 2,
  })),
  tcbInfoCase('tcb-info-for-sgx', 'K2', 'TCB info for SGX.', (content) => ({ ...content, id: 'SGX' })),
  tcbInfoCase('tcb-info-type-1', 'K2', 'An unknown tcbType.', (content) => ({ ...content, tcbType: 1 })),
  tcbInfoCase(
    'tcb-levels-empty',
    'K3',
    'No levels.',
    withLevels(() => []),
  ),
  tcbInfoCase(
    'tcb-level-15-components',
    'K3',
    'A level that does not apply has 15 TDX components.',
    withLastLevel((level) => ({
      ...level,
      tcb: { ...level.tcb, tdxtcbcomponents: level.tcb.tdxtcbcomponents.slice(1) },
    })),
  ),
  tcbInfoCase(
    'tcb-level-twice',
    'K3',
    'A level occurs twice, once with a better status.',
    withLevels((levels) => levels.flatMap((level) => [level, { ...level, tcbStatus: 'UpToDate' }])),
  ),
  tcbInfoCase(
    'tcb-level-unknown-status',
    'K3',
    'A level that does not apply has an unknown status.',
    withLastLevel((level) => ({ ...level, tcbStatus: 'Fine' })),
  ),
  tcbInfoCase(
    'tcb-level-svn-256',
    'K3',
    'A level that does not apply demands an SVN of 256.',
    withLastLevel((level) => ({
      ...level,
      tcb: { ...level.tcb, tdxtcbcomponents: level.tcb.tdxtcbcomponents.map(() => ({ svn: 256 })) },
    })),
  ),
  tcbInfoCase(
    'tcb-levels-shuffled',
    'K3',
    'The order of the levels in the JSON means nothing.',
    withLevels((levels) => levels.toReversed()),
    accepted(),
  ),
  tamperCase(
    'tcb-info-of-tomorrow',
    'K4',
    'The issueDate of the TCB info is tomorrow; Intel’s own verifier accepts it.',
    (bench) => bench.tcbInfo((content) => ({ ...content, issueDate: intelDate(bench.nowMs + DAY_MS) })),
    refused('TCB_INFO_NOT_YET_VALID'),
  ),
  tamperCase(
    'qe-identity-of-tomorrow',
    'K4',
    'The issueDate of the QE identity is tomorrow; Intel’s own verifier accepts it.',
    (bench) => bench.qeIdentity((content) => ({ ...content, issueDate: intelDate(bench.nowMs + DAY_MS) })),
    refused('QE_IDENTITY_NOT_YET_VALID'),
  ),
  tamperCase(
    'tcb-info-expired',
    'K5',
    'The nextUpdate of the TCB info was yesterday.',
    (bench) => bench.tcbInfo((content) => ({ ...content, nextUpdate: intelDate(bench.nowMs - DAY_MS) })),
    refused('TCB_INFO_EXPIRED'),
  ),
  tamperCase(
    'qe-identity-expired',
    'K5',
    'The nextUpdate of the QE identity was yesterday.',
    (bench) => bench.qeIdentity((content) => ({ ...content, nextUpdate: intelDate(bench.nowMs - DAY_MS) })),
    refused('QE_IDENTITY_EXPIRED'),
  ),
  tcbInfoCase(
    'tcb-info-of-another-fmspc',
    'K6',
    'Good TCB info of another family of platforms.',
    (content) => ({ ...content, fmspc: '00806F050000' }),
    refused('FMSPC_MISMATCH'),
  ),
  tcbInfoCase(
    'tcb-info-of-another-pceid',
    'K7',
    'Good TCB info for another PCE.',
    (content) => ({ ...content, pceId: '0001' }),
    refused('PCEID_MISMATCH'),
  ),
];

const qeIdentityCases: readonly TamperCase[] = [
  qeIdentityCase('qe-identity-for-sgx', 'K8', 'The identity of the SGX QE.', (content) => ({
    ...content,
    id: 'QE',
  })),
  qeIdentityCase('qe-identity-version-3', 'K8', 'A version that does not exist.', (content) => ({
    ...content,
    version: 3,
  })),
  qeIdentityCase('qe-identity-signed-empty', 'K8', 'An empty object, properly signed.', () => ({})),
  qeIdentityCase('qe-identity-without-levels', 'K8', 'No levels.', (content) => ({
    ...content,
    tcbLevels: [],
  })),
  qeIdentityCase(
    'qe-level-configuration-needed',
    'K8',
    'The status of the reached level is one that a quoting enclave cannot have.',
    (content) => ({
      ...content,
      tcbLevels: content.tcbLevels.map((level, index) =>
        index === 0 ? { ...level, tcbStatus: 'ConfigurationNeeded' } : level,
      ),
    }),
  ),
  qeIdentityCase(
    'qe-level-not-reached-configuration-needed',
    'K8',
    'The status of a level that is not reached is one that a quoting enclave cannot have.',
    (content) => ({
      ...content,
      tcbLevels: content.tcbLevels.map((level, index) =>
        index === 2 ? { ...level, tcbStatus: 'ConfigurationNeeded' } : level,
      ),
    }),
  ),
  qeIdentityCase(
    'evaluation-numbers-differ',
    'K9',
    'The QE identity is of an older evaluation than the TCB info; Intel served such sets in August 2026.',
    (content) => ({ ...content, tcbEvaluationDataNumber: content.tcbEvaluationDataNumber - 1 }),
    accepted(),
  ),
  tcbInfoCase(
    'evaluation-numbers-differ-the-other-way',
    'K9',
    'The TCB info is of an older evaluation than the QE identity.',
    (content) => ({ ...content, tcbEvaluationDataNumber: content.tcbEvaluationDataNumber - 1 }),
    accepted(),
  ),
  {
    name: 'lower-evaluation-number-below-minimum',
    row: 'K9',
    about: 'The number of the TCB info reaches the minimum of the policy, that of the QE identity does not.',
    make: (bench) =>
      bench.qeIdentity((content) => ({
        ...content,
        tcbEvaluationDataNumber: content.tcbEvaluationDataNumber - 1,
      })),
    policy: { minimumTcbEvaluationDataNumber: 20 },
    expected: refused('TCB_EVALUATION_TOO_OLD', 'UpToDate'),
  },
  {
    name: 'evaluation-number-below-minimum',
    row: 'K9',
    about: 'Consistent collateral of an older evaluation than the policy demands.',
    make: (bench) => bench.evidence(),
    policy: { minimumTcbEvaluationDataNumber: 21 },
    expected: refused('TCB_EVALUATION_TOO_OLD', 'UpToDate'),
  },
];

/** Table 1c: the collateral. */
export const documentCases: readonly TamperCase[] = [...signatureCases, ...tcbInfoCases, ...qeIdentityCases];
