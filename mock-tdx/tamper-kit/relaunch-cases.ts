import type { TcbInfo } from '../collateral/tcb-info.ts';
import type { QuoteRequest } from '../development-pki.ts';
import type { Evidence } from './evidence.ts';
import type { TamperBench } from './tamper-bench.ts';
import { accepted, anyStatus, refused, type TamperCase, tamperCase } from './tamper-case.ts';
import { microcodeAdvisories, moduleAdvisory, svns, withFirstStatus } from './tcb-changes.ts';

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

/** Rule 1e 7: the TCB that is loaded now, and the advice to launch a TD again. */
export const relaunchCases: readonly TamperCase[] = [
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
  tamperCase(
    'relaunch-advised-for-microcode',
    'E7',
    'Only the microcode was old at launch.',
    launched([5, 1, 7], [5, 1, 8]),
    accepted('TDRelaunchAdvised', microcodeAdvisories),
    anyStatus,
  ),
  tamperCase(
    'relaunch-advised-for-module-version-0',
    'E7',
    'A module of version 0, which the platform level covers.',
    launched([5, 0, 7], [5, 0, 8]),
    accepted('TDRelaunchAdvised', microcodeAdvisories),
    anyStatus,
  ),
  tamperCase(
    'relaunch-would-not-help-newest-module-level',
    'E7',
    'The newest level of the module is itself out of date.',
    launched([4, 1, 8], [5, 1, 8], (content) => ({
      ...content,
      tdxModuleIdentities: content.tdxModuleIdentities.map((identity) => ({
        ...identity,
        tcbLevels: identity.tcbLevels.map((level) => ({ ...level, tcbStatus: 'OutOfDate' })),
      })),
    })),
    accepted('OutOfDate', moduleAdvisory),
    anyStatus,
  ),
  tamperCase(
    'loaded-module-unknown',
    'E7',
    'Good at launch; no identity TDX_02 is listed for the module that is loaded now.',
    launched([5, 1, 8], [5, 2, 8]),
    refused('TDX_MODULE_MISMATCH'),
    anyStatus,
  ),
  tamperCase(
    'loaded-module-below-every-level',
    'E7',
    'Good at launch; the SVN of the module that is loaded now is not listed.',
    launched([5, 1, 8], [1, 1, 8]),
    refused('TCB_NOT_SUPPORTED'),
    anyStatus,
  ),
  tamperCase(
    'loaded-tcb-below-every-platform-level',
    'E7',
    'Good at launch; TDX component 2 of what is loaded now reaches no level.',
    launched([5, 1, 8], [5, 1, 4]),
    refused('TCB_NOT_SUPPORTED'),
    anyStatus,
  ),
  tamperCase(
    'loaded-module-out-of-date',
    'E7',
    'Good at launch; the module that is loaded now is out of date. Intel’s status is that of the launch.',
    launched([5, 1, 8], [4, 1, 8]),
    accepted(),
    anyStatus,
  ),
  tamperCase(
    'loaded-module-out-of-date-default-policy',
    'E7',
    'The default policy wants what is loaded now to be up to date too.',
    launched([5, 1, 8], [4, 1, 8]),
    refused('TCB_STATUS_REFUSED', 'UpToDate'),
  ),
  tamperCase(
    'loaded-module-revoked',
    'E7',
    'Good at launch; the module that is loaded now is revoked, which no policy accepts.',
    launched([5, 1, 8], [2, 1, 8]),
    refused('TCB_REVOKED', 'UpToDate'),
    anyStatus,
  ),
];
