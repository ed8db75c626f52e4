import type { ByteReader } from './byte-reader.ts';
import {
  BODY_TYPE_TD_REPORT_1_0,
  fieldOf,
  TD_REPORT_1_0_BYTES,
  TD_REPORT_1_5_BYTES,
  tdReport15Layout,
  tdReportLayout,
} from './quote-layout.ts';

/** The TD report inside a quote, in Intel's terms; every value raw. */
export interface TdReport {
  /** 16 bytes; [0] TDX module SVN, [1] TDX module version, [2] SEAM loader or microcode SVN. */
  readonly teeTcbSvn: Uint8Array;
  /** 48 bytes: measurement of the TDX module. */
  readonly mrSeam: Uint8Array;
  /** 48 bytes: zero for Intel's modules. */
  readonly mrSignerSeam: Uint8Array;
  /** 8 bytes. */
  readonly seamAttributes: Uint8Array;
  /** 8 bytes. */
  readonly tdAttributes: Uint8Array;
  /** 8 bytes. */
  readonly xfam: Uint8Array;
  /** 48 bytes: measurement of the TD's initial contents. */
  readonly mrTd: Uint8Array;
  /** 48 bytes: set by the host, not covered by the TD's measurement. */
  readonly mrConfigId: Uint8Array;
  /** 48 bytes. */
  readonly mrOwner: Uint8Array;
  /** 48 bytes. */
  readonly mrOwnerConfig: Uint8Array;
  /** 48 bytes each: measurements that the TD extends at run time. */
  readonly rtMr0: Uint8Array;
  readonly rtMr1: Uint8Array;
  readonly rtMr2: Uint8Array;
  readonly rtMr3: Uint8Array;
  /** 64 bytes chosen by the TD. */
  readonly reportData: Uint8Array;
  /** 16 bytes, TD report 1.5 only: the TCB that is loaded now, where `teeTcbSvn` is that of the TD's launch. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  /** 48 bytes, TD report 1.5 only: hash of bound service TDs. */
  readonly mrServiceTd: Uint8Array | undefined;
}

/**
 * Reads the body that this type names.
 * @throws EvidenceError QUOTE_TRUNCATED.
 */
export function readTdReport(reader: ByteReader, bodyType: 2 | 3): TdReport {
  const isTdReport10 = bodyType === BODY_TYPE_TD_REPORT_1_0;
  const body = reader.take(isTdReport10 ? TD_REPORT_1_0_BYTES : TD_REPORT_1_5_BYTES, 'TD report');
  return Object.freeze({
    teeTcbSvn: fieldOf(body, tdReportLayout.teeTcbSvn),
    mrSeam: fieldOf(body, tdReportLayout.mrSeam),
    mrSignerSeam: fieldOf(body, tdReportLayout.mrSignerSeam),
    seamAttributes: fieldOf(body, tdReportLayout.seamAttributes),
    tdAttributes: fieldOf(body, tdReportLayout.tdAttributes),
    xfam: fieldOf(body, tdReportLayout.xfam),
    mrTd: fieldOf(body, tdReportLayout.mrTd),
    mrConfigId: fieldOf(body, tdReportLayout.mrConfigId),
    mrOwner: fieldOf(body, tdReportLayout.mrOwner),
    mrOwnerConfig: fieldOf(body, tdReportLayout.mrOwnerConfig),
    rtMr0: fieldOf(body, tdReportLayout.rtMr0),
    rtMr1: fieldOf(body, tdReportLayout.rtMr1),
    rtMr2: fieldOf(body, tdReportLayout.rtMr2),
    rtMr3: fieldOf(body, tdReportLayout.rtMr3),
    reportData: fieldOf(body, tdReportLayout.reportData),
    teeTcbSvn2: isTdReport10 ? undefined : fieldOf(body, tdReport15Layout.teeTcbSvn2),
    mrServiceTd: isTdReport10 ? undefined : fieldOf(body, tdReport15Layout.mrServiceTd),
  });
}
