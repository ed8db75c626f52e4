import { sha384 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { developmentMeasurements, type TdMeasurements } from '../measurements.ts';

/** Every field of a TD report, as the quote carries it (Intel's TDX DCAP quote library, "TD Quote Body"). */
export interface TdBody extends TdMeasurements {
  /** 16 SVNs; index 1 is the module's major version, index 0 its SVN. */
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** From TDX 1.5 on: the SVNs that are loaded now. */
  readonly teeTcbSvn2: Uint8Array;
  /** From TDX 1.5 on. */
  readonly mrServiceTd: Uint8Array;
  /** Extended TD report 1.5 only, with Intel's names and their sizes in bytes. */
  readonly extension: TdBodyExtension;
}

/** The fields that the extended TD report 1.5 adds. */
export interface TdBodyExtension {
  /** 1 byte. */
  readonly vmid: Uint8Array;
  /** 32 bytes. */
  readonly tdId: Uint8Array;
  /** 48 bytes. */
  readonly devInfo: Uint8Array;
  /** 48 bytes. */
  readonly initServTdHash: Uint8Array;
  /** 8 bytes. */
  readonly initServTdAttributes: Uint8Array;
  /** 16 bytes. */
  readonly initCpuSvn: Uint8Array;
  /** 16 bytes. */
  readonly initTeeTcbSvn: Uint8Array;
  /** 12 bytes. */
  readonly initTeeFmspc: Uint8Array;
  /** 48 bytes. */
  readonly curServTdHash: Uint8Array;
  /** 8 bytes. */
  readonly curServTdAttributes: Uint8Array;
}

/** Body layout: 584 bytes for TDX 1.0, 648 for 1.5, 885 for the extended report of 1.5. */
export type TdBodyLayout = '1.0' | '1.5' | '1.5-extended';

/** The type that a quote of version 5 states for its body. */
export const bodyTypes: Readonly<Record<TdBodyLayout, number>> = { '1.0': 2, '1.5': 3, '1.5-extended': 4 };

/** Extension of a development TD: no devices, no service TD. */
const developmentExtension: TdBodyExtension = {
  vmid: new Uint8Array(1),
  tdId: sha384(utf8('latchkey development TD')).slice(0, 32),
  devInfo: new Uint8Array(48),
  initServTdHash: new Uint8Array(48),
  initServTdAttributes: new Uint8Array(8),
  initCpuSvn: Uint8Array.of(8, 8, 0xff, 0x1b, 4, 0xff, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0),
  initTeeTcbSvn: Uint8Array.of(5, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  initTeeFmspc: new Uint8Array(12),
  curServTdHash: new Uint8Array(48),
  curServTdAttributes: new Uint8Array(8),
};

/** TEE_TCB_SVN of a patched platform: module TDX_01 at SVN 5, microcode 8. */
const developmentTeeTcbSvn: Uint8Array = Uint8Array.of(5, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/** A body with development values everywhere except where told. */
export function tdBody(reportData: Uint8Array, changes: Partial<TdBody> = {}): TdBody {
  return {
    ...developmentMeasurements,
    teeTcbSvn: developmentTeeTcbSvn,
    mrSeam: sha384(utf8('latchkey development TDX module')),
    mrSignerSeam: new Uint8Array(48),
    seamAttributes: new Uint8Array(8),
    reportData,
    teeTcbSvn2: changes.teeTcbSvn ?? developmentTeeTcbSvn,
    mrServiceTd: new Uint8Array(48),
    extension: developmentExtension,
    ...changes,
  };
}

/** The body's bytes. @throws RangeError when a field has the wrong length, so that no malformed quote is made by accident. */
export function encodeTdBody(body: TdBody, layout: TdBodyLayout): Uint8Array {
  const fields = [
    ...[body.teeTcbSvn, body.mrSeam, body.mrSignerSeam, body.seamAttributes, body.tdAttributes, body.xfam],
    ...[body.mrTd, body.mrConfigId, body.mrOwner, body.mrOwnerConfig],
    ...[body.rtMr0, body.rtMr1, body.rtMr2, body.rtMr3, body.reportData],
    ...(layout === '1.0' ? [] : [body.teeTcbSvn2, body.mrServiceTd]),
    ...(layout === '1.5-extended' ? extensionFields(body.extension) : []),
  ];
  const lengths = [
    ...[16, 48, 48, 8, 8, 8, 48, 48, 48, 48, 48, 48, 48, 48, 64, 16, 48],
    ...[1, 32, 48, 48, 8, 16, 16, 12, 48, 8],
  ];
  const wrong = fields.findIndex((field, index) => field.length !== lengths[index]);
  if (wrong >= 0) {
    throw new RangeError(
      `field ${wrong} of the TD body must be ${lengths[wrong]} bytes, got ${fields[wrong]?.length}`,
    );
  }
  return concatBytes(...fields);
}

const extensionFields = (extension: TdBodyExtension): readonly Uint8Array[] => [
  ...[extension.vmid, extension.tdId, extension.devInfo],
  ...[extension.initServTdHash, extension.initServTdAttributes],
  ...[extension.initCpuSvn, extension.initTeeTcbSvn, extension.initTeeFmspc],
  ...[extension.curServTdHash, extension.curServTdAttributes],
];
