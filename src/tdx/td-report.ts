import { frozenWithJson } from './printable.ts';
import {
  BODY_TYPE_TD_REPORT_1_0,
  BODY_TYPE_TD_REPORT_1_5_EXTENDED,
  type BodyType,
  bodyBytes,
  fieldOf,
  tdReport15ExtendedLayout,
  tdReport15Layout,
  tdReportLayout,
} from './quote-layout.ts';
import type { QuoteReader } from './quote-reader.ts';

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
  /** 16 bytes, from TD report 1.5 on: the TCB that is loaded now, where `teeTcbSvn` is that of the TD's launch. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  /** 48 bytes, from TD report 1.5 on: hash of bound service TDs. */
  readonly mrServiceTd: Uint8Array | undefined;
  /** What the extended TD report 1.5 states besides. */
  readonly extension: TdReportExtension | undefined;
}

/** The fields of the extended TD report 1.5 (quote version 5, body type 4), with Intel's names. */
export interface TdReportExtension {
  /** 1 byte: which VM of a partitioned TD made the report. */
  readonly vmid: Uint8Array;
  /** 32 bytes: id of this TD. */
  readonly tdId: Uint8Array;
  /** 48 bytes: devices that are bound to the TD. */
  readonly devInfo: Uint8Array;
  /** 48 bytes and 8 bytes: the service TD with which the TD was launched. */
  readonly initServTdHash: Uint8Array;
  readonly initServTdAttributes: Uint8Array;
  /** 16 bytes, 16 bytes and 12 bytes: CPUSVN, TEE_TCB_SVN and FMSPC of the platform that launched the TD. */
  readonly initCpuSvn: Uint8Array;
  readonly initTeeTcbSvn: Uint8Array;
  readonly initTeeFmspc: Uint8Array;
  /** 48 bytes and 8 bytes: the service TD that is bound now. */
  readonly curServTdHash: Uint8Array;
  readonly curServTdAttributes: Uint8Array;
}

/**
 * Reads the body that this type names.
 * @throws EvidenceError QUOTE_TRUNCATED.
 */
export function readTdReport(reader: QuoteReader, bodyType: BodyType): TdReport {
  const body = reader.take(bodyBytes[bodyType], 'TD report');
  const isTdReport10 = bodyType === BODY_TYPE_TD_REPORT_1_0;
  return frozenWithJson({
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
    extension: bodyType === BODY_TYPE_TD_REPORT_1_5_EXTENDED ? readExtension(body) : undefined,
  });
}

const readExtension = (body: Uint8Array): TdReportExtension =>
  frozenWithJson({
    vmid: fieldOf(body, tdReport15ExtendedLayout.vmid),
    tdId: fieldOf(body, tdReport15ExtendedLayout.tdId),
    devInfo: fieldOf(body, tdReport15ExtendedLayout.devInfo),
    initServTdHash: fieldOf(body, tdReport15ExtendedLayout.initServTdHash),
    initServTdAttributes: fieldOf(body, tdReport15ExtendedLayout.initServTdAttributes),
    initCpuSvn: fieldOf(body, tdReport15ExtendedLayout.initCpuSvn),
    initTeeTcbSvn: fieldOf(body, tdReport15ExtendedLayout.initTeeTcbSvn),
    initTeeFmspc: fieldOf(body, tdReport15ExtendedLayout.initTeeFmspc),
    curServTdHash: fieldOf(body, tdReport15ExtendedLayout.curServTdHash),
    curServTdAttributes: fieldOf(body, tdReport15ExtendedLayout.curServTdAttributes),
  });
