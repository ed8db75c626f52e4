import type { ModuleIdentity, TcbInfo } from '../collateral/tcb-info.ts';
import { developmentComponentSvns } from '../pki/platform.ts';
import type { SgxFacts } from '../pki/sgx-extension.ts';
import type { Evidence } from './evidence.ts';
import type { TamperBench } from './tamper-bench.ts';
import { accepted, anyStatus, refused, type TamperCase, tamperCase } from './tamper-case.ts';
import { microcodeAdvisories, moduleAdvisory, svns, withFirstStatus } from './tcb-changes.ts';

/** A TD on a platform with a TEE_TCB_SVN that begins with these SVNs. */
const tee =
  (...first: readonly number[]) =>
  (bench: TamperBench): Evidence =>
    bench.asked({ body: { teeTcbSvn: svns(...first) } });

const platform =
  (facts: Partial<SgxFacts>, ...teeTcbSvn: readonly number[]) =>
  (bench: TamperBench): Evidence =>
    bench.asked({ facts, ...(teeTcbSvn.length === 0 ? {} : { body: { teeTcbSvn: svns(...teeTcbSvn) } }) });

const withModules =
  (change: (identity: ModuleIdentity) => object) =>
  (content: TcbInfo): object => ({
    ...content,
    tdxModuleIdentities: content.tdxModuleIdentities.map(change),
  });

/** One level of each module identity has another status. */
const withLevelStatus =
  (changed: number, tcbStatus: string) =>
  (identity: ModuleIdentity): object => ({
    ...identity,
    tcbLevels: identity.tcbLevels.map((level, index) =>
      index === changed ? { ...level, tcbStatus } : level,
    ),
  });

const older = { componentSvns: developmentComponentSvns.map((svn, index) => (index < 2 ? svn - 1 : svn)) };
const mismatch = refused('TDX_MODULE_MISMATCH');
const notSupported = refused('TCB_NOT_SUPPORTED');

const moduleCases: readonly TamperCase[] = [
  tamperCase('module-version-unknown', 'E1', 'No identity TDX_02 is listed.', tee(5, 2, 8), mismatch),
  tamperCase(
    'module-version-0',
    'E1',
    'Version 0 is judged by tdxModule and all 16 TDX components.',
    tee(5, 0, 8),
    accepted(),
  ),
  tamperCase(
    'module-version-3',
    'E1',
    'TDX_03 has levels of its own: SVN 3 is current, though the platform level says 5.',
    tee(3, 3, 8),
    accepted(),
  ),
  tamperCase(
    'module-id-lower-case',
    'E1',
    'Ids of module identities are compared without regard to case.',
    (bench) => bench.tcbInfo(withModules((identity) => ({ ...identity, id: identity.id.toLowerCase() }))),
    accepted(),
  ),
  tamperCase(
    'module-identity-twice',
    'E1',
    'A module identity occurs twice.',
    (bench) =>
      bench.tcbInfo((content) => ({
        ...content,
        tdxModuleIdentities: [...content.tdxModuleIdentities, ...content.tdxModuleIdentities],
      })),
    refused('TCB_INFO_INVALID'),
  ),
  tamperCase(
    'module-of-another-signer',
    'E2',
    'MRSIGNERSEAM is not Intel’s zero.',
    (bench) => bench.asked({ body: { mrSignerSeam: new Uint8Array(48).fill(1) } }),
    mismatch,
  ),
  tamperCase(
    'module-identity-of-another-signer',
    'E2',
    'The identity demands another signer.',
    (bench) => bench.tcbInfo(withModules((identity) => ({ ...identity, mrsigner: '1'.repeat(96) }))),
    mismatch,
  ),
  tamperCase(
    'module-attributes',
    'E2',
    'SEAMATTRIBUTES has a bit, such as a debug module would.',
    (bench) => bench.asked({ body: { seamAttributes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) } }),
    mismatch,
  ),
  {
    name: 'module-attributes-masked',
    row: 'E2',
    about: 'SEAMATTRIBUTES has a bit that the mask of the identity does not look at.',
    make: (bench) =>
      bench.tcbInfo(
        withModules((identity) => ({ ...identity, attributesMask: '0'.repeat(16) })),
        { body: { seamAttributes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) } },
      ),
    expected: mismatch,
  },
];

const levelCases: readonly TamperCase[] = [
  tamperCase(
    'microcode-out-of-date',
    'E4',
    'TDX component 2 reaches only the second level.',
    tee(5, 1, 7),
    accepted('OutOfDate', microcodeAdvisories),
    anyStatus,
  ),
  tamperCase(
    'microcode-out-of-date-default-policy',
    'E4',
    'The same under the default policy, which accepts UpToDate only.',
    tee(5, 1, 7),
    refused('TCB_STATUS_REFUSED', 'OutOfDate'),
  ),
  tamperCase(
    'sgx-components-older',
    'E4',
    'The SGX components reach only the third level.',
    platform(older),
    accepted('SWHardeningNeeded', ['INTEL-SA-00615']),
    anyStatus,
  ),
  tamperCase(
    'cpusvn-is-not-compared',
    'E4',
    'The raw CPUSVN is zero; the components count.',
    platform({ cpuSvn: new Uint8Array(16) }),
    accepted(),
  ),
  tamperCase(
    'pce-one-below',
    'E4',
    'PCESVN is one short of every level but the revoked last.',
    platform({ pceSvn: 12 }),
    refused('TCB_REVOKED', 'Revoked'),
    anyStatus,
  ),
  tamperCase(
    'components-below-every-level',
    'E4',
    'One SGX component reaches no level.',
    platform({ componentSvns: developmentComponentSvns.map((svn, index) => (index === 7 ? 0 : svn)) }),
    notSupported,
  ),
  tamperCase(
    'tdx-components-below-every-level',
    'E4',
    'TDX component 2 reaches no level.',
    tee(5, 1, 4),
    notSupported,
  ),
  tamperCase(
    'module-version-0-svn-low',
    'E4',
    'With module version 0, TDX component 0 counts: only the revoked last level is reached.',
    tee(4, 0, 8),
    refused('TCB_REVOKED', 'Revoked'),
    anyStatus,
  ),
  tamperCase(
    'module-out-of-date',
    'E5',
    'Module SVN 4 is out of date, though the platform level is reached without component 0.',
    tee(4, 1, 8),
    accepted('OutOfDate', moduleAdvisory),
    anyStatus,
  ),
  tamperCase(
    'module-revoked',
    'E5',
    'Module SVN 2 is revoked, and the platform with it.',
    tee(2, 1, 8),
    refused('TCB_REVOKED', 'Revoked'),
    anyStatus,
  ),
  tamperCase('module-below-every-level', 'E5', 'Module SVN 1 is not listed.', tee(1, 1, 8), notSupported),
  tamperCase(
    'module-levels-shuffled',
    'E5',
    'The order of module levels in the JSON means nothing.',
    (bench) =>
      bench.tcbInfo(withModules((identity) => ({ ...identity, tcbLevels: identity.tcbLevels.toReversed() }))),
    accepted(),
  ),
  tamperCase(
    'module-level-not-reached-of-unknown-status',
    'E5',
    'A module level that is not reached has an unknown status.',
    (bench) => bench.tcbInfo(withModules(withLevelStatus(1, 'Retired'))),
    accepted(),
  ),
  tamperCase(
    'module-level-reached-of-unknown-status',
    'E5',
    'The module level that is reached has an unknown status.',
    (bench) => bench.tcbInfo(withModules(withLevelStatus(0, 'Retired'))),
    refused('TCB_INFO_INVALID'),
  ),
  tamperCase(
    'hardening-and-module-out-of-date',
    'E6',
    'SWHardeningNeeded and a module out of date together are OutOfDate.',
    platform(older, 4, 1, 8),
    accepted('OutOfDate', ['INTEL-SA-00615', ...moduleAdvisory]),
    anyStatus,
  ),
  tamperCase(
    'configuration-and-module-out-of-date',
    'E6',
    'ConfigurationNeeded and a module out of date together are OutOfDateConfigurationNeeded.',
    (bench) => bench.tcbInfo(withFirstStatus('ConfigurationNeeded'), { body: { teeTcbSvn: svns(4, 1, 8) } }),
    accepted('OutOfDateConfigurationNeeded', moduleAdvisory),
    anyStatus,
  ),
  {
    name: 'configuration-and-qe-out-of-date',
    row: 'E6',
    about: 'ConfigurationNeeded and a QE out of date together are OutOfDateConfigurationNeeded.',
    make(bench) {
      const { quote } = bench.quote((parts) => ({ ...parts, qeReport: { ...parts.qeReport, isvSvn: 5 } }));
      return { ...bench.tcbInfo(withFirstStatus('ConfigurationAndSWHardeningNeeded')), quote };
    },
    expected: accepted('OutOfDateConfigurationNeeded', ['INTEL-SA-01245']),
    policy: anyStatus,
  },
  {
    name: 'advisories-of-all-three',
    row: 'E8',
    about: 'Platform level, module and QE each bring their advisories.',
    make: (bench) =>
      bench.quote((parts) => ({ ...parts, qeReport: { ...parts.qeReport, isvSvn: 5 } }), {
        body: { teeTcbSvn: svns(4, 1, 7) },
      }),
    expected: accepted('OutOfDate', [...microcodeAdvisories, ...moduleAdvisory, 'INTEL-SA-01245']),
    policy: anyStatus,
  },
];

/** Rules 1e: TDX module and TCB evaluation. */
export const tcbCases: readonly TamperCase[] = [...moduleCases, ...levelCases];
