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
  /** TDX 1.5 only: the SVNs that the platform would have after the TD was launched again. */
  readonly teeTcbSvn2: Uint8Array;
  /** TDX 1.5 only. */
  readonly mrServiceTd: Uint8Array;
}

/** Body layout: 584 bytes for TDX 1.0, 648 for 1.5. */
export type TdBodyLayout = '1.0' | '1.5';

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
    ...changes,
  };
}

/** The body's bytes. @throws RangeError when a field has the wrong length, so that no malformed quote is made by accident. */
export function encodeTdBody(body: TdBody, layout: TdBodyLayout): Uint8Array {
  const fields = [
    ...[body.teeTcbSvn, body.mrSeam, body.mrSignerSeam, body.seamAttributes, body.tdAttributes, body.xfam],
    ...[body.mrTd, body.mrConfigId, body.mrOwner, body.mrOwnerConfig],
    ...[body.rtMr0, body.rtMr1, body.rtMr2, body.rtMr3, body.reportData],
    ...(layout === '1.5' ? [body.teeTcbSvn2, body.mrServiceTd] : []),
  ];
  const lengths = [16, 48, 48, 8, 8, 8, 48, 48, 48, 48, 48, 48, 48, 48, 64, 16, 48];
  const wrong = fields.findIndex((field, index) => field.length !== lengths[index]);
  if (wrong >= 0) {
    throw new RangeError(
      `field ${wrong} of the TD body must be ${lengths[wrong]} bytes, got ${fields[wrong]?.length}`,
    );
  }
  return concatBytes(...fields);
}
