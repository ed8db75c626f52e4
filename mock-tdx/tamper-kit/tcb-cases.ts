import type { ModuleIdentity, TcbInfo } from '../collateral/tcb-info.ts';
import type { QuoteRequest } from '../development-pki.ts';
import { developmentComponentSvns } from '../pki/platform.ts';
import type { SgxFacts } from '../pki/sgx-extension.ts';
import type { TamperBench } from './tamper-bench.ts';
import { accepted, anyStatus, type Evidence, refused, type TamperCase, tamperCase } from './tamper-case.ts';

const svns = (...first: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, index) => first[index] ?? 0);

/** A TD on a platform whose TEE_TCB_SVN begins so. */
const tee =
  (...first: readonly number[]) =>
  (bench: TamperBench): Evidence =>
    bench.asked({ body: { teeTcbSvn: svns(...first) } });

const platform =
  (facts: Partial<SgxFacts>, ...teeTcbSvn: readonly number[]) =>
  (bench: TamperBench): Evidence =>
    bench.asked({ facts, ...(teeTcbSvn.length === 0 ? {} : { body: { teeTcbSvn: svns(...teeTcbSvn) } }) });

/** Version 5: launched under the first SVNs, the second are loaded by now. */
const launched =
  (
    at: readonly number[],
    now: readonly number[],
    change: (content: TcbInfo) => object = (content) => content,
  ) =>
  (bench: TamperBench): Evidence =>
    bench.tcbInfo(change, relaunchRequest(at, now));

const relaunchRequest = (
  at: readonly number[],
  now: readonly number[],
): Omit<QuoteRequest, 'reportData'> => ({
  version: 5,
  body: { teeTcbSvn: svns(...at), teeTcbSvn2: svns(...now) },
});

const withModules =
  (change: (identity: ModuleIdentity) => object) =>
  (content: TcbInfo): object => ({
    ...content,
    tdxModuleIdentities: content.tdxModuleIdentities.map(change),
  });

/** The level that a good platform reaches says something else. */
const withFirstStatus =
  (tcbStatus: string) =>
  (content: TcbInfo): object => ({
    ...content,
    tcbLevels: content.tcbLevels.map((level, index) => (index === 0 ? { ...level, tcbStatus } : level)),
  });

const older = { componentSvns: developmentComponentSvns.map((svn, index) => (index < 2 ? svn - 1 : svn)) };
const mismatch = refused('TDX_MODULE_MISMATCH');
const notSupported = refused('TCB_NOT_SUPPORTED');
const moduleAdvisory = ['INTEL-SA-01192'];
const microcodeAdvisories = ['INTEL-SA-01103', 'INTEL-SA-01111'];

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

const relaunchCases: readonly TamperCase[] = [
  tamperCase(
    'relaunch-advised',
    'E7',
    'Launched under an old module; the newest is loaded by now.',
    launched([4, 1, 8], [5, 1, 8]),
    accepted('TDRelaunchAdvised', moduleAdvisory),
    anyStatus,
  ),
  tamperCase(
    'relaunch-advised-configuration-needed',
    'E7',
    'The same on a platform that needs configuration.',
    launched([4, 1, 8], [5, 1, 8], withFirstStatus('ConfigurationNeeded')),
    accepted('TDRelaunchAdvisedConfigurationNeeded', moduleAdvisory),
    anyStatus,
  ),
  tamperCase(
    'relaunch-advised-default-policy',
    'E7',
    'The default policy does not accept it.',
    launched([4, 1, 8], [5, 1, 8]),
    refused('TCB_STATUS_REFUSED', 'TDRelaunchAdvised'),
  ),
  tamperCase(
    'relaunch-would-not-help-module',
    'E7',
    'The loaded module is old as well.',
    launched([4, 1, 8], [4, 1, 8]),
    accepted('OutOfDate', moduleAdvisory),
    anyStatus,
  ),
  tamperCase(
    'relaunch-would-not-help-microcode',
    'E7',
    'The loaded microcode is old.',
    launched([4, 1, 8], [5, 1, 7]),
    accepted('OutOfDate', moduleAdvisory),
    anyStatus,
  ),
  {
    name: 'relaunch-unknown-to-report-1.0',
    row: 'E7',
    about: 'A TD report 1.0 does not know what is loaded.',
    make: (bench) => bench.asked({ version: 5, layout: '1.0', body: { teeTcbSvn: svns(4, 1, 8) } }),
    expected: accepted('OutOfDate', moduleAdvisory),
    policy: anyStatus,
  },
  {
    name: 'relaunch-with-qe-out-of-date',
    row: 'E7',
    about: 'A QE out of date: relaunching alone would not do.',
    make: (bench) =>
      bench.quote(
        (parts) => ({ ...parts, qeReport: { ...parts.qeReport, isvSvn: 5 } }),
        relaunchRequest([4, 1, 8], [5, 1, 8]),
      ),
    expected: accepted('OutOfDate', [...moduleAdvisory, 'INTEL-SA-01245']),
    policy: anyStatus,
  },
];

/** Rules 1e: TDX module and TCB evaluation. */
export const tcbCases: readonly TamperCase[] = [...moduleCases, ...levelCases, ...relaunchCases];
