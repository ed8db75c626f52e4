import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import type { SigningKey } from '../pki/signing-key.ts';
import { encodeQeReport, type QeReport } from './qe-report.ts';
import { bodyTypes, encodeTdBody, type TdBody, type TdBodyLayout } from './td-body.ts';

/**
 * Everything that goes into a quote before it is signed. Changing a part and assembling again gives a quote that is
 * consistent except for that part: this is how the tamper kit makes single defects.
 */
export interface QuoteParts {
  readonly version: number;
  /** 2 is ECDSA with P-256. */
  readonly attestationKeyType: number;
  /** 0x81 is TDX. */
  readonly teeType: number;
  /** 16 bytes. */
  readonly qeVendorId: Uint8Array;
  /** 20 bytes. */
  readonly userData: Uint8Array;
  readonly layout: TdBodyLayout;
  readonly body: TdBody;
  readonly attestationKey: SigningKey;
  readonly qeReport: QeReport;
  /** Signs the QE report; in a good quote the platform's PCK. */
  readonly pckKey: SigningKey;
  readonly authenticationData: Uint8Array;
  /** Leaf, CA, root in PEM; real ones often end with a NUL, some do not. */
  readonly certificationPem: string;
  /** 6 is QE report certification data. */
  readonly certificationDataType: number;
  /** 5 is a PCK certificate chain. */
  readonly innerCertificationDataType: number;
  /** Takes the place of `certificationPem`, for the types that only name the platform. */
  readonly certificationData?: Uint8Array;
}

/** Intel's QE vendor id, 939A7233-F79C-4CA9-940A-0DB3957F0607. */
export const INTEL_QE_VENDOR_ID = '939a7233f79c4ca9940a0db3957f0607';

const u16 = (value: number): Uint8Array => Uint8Array.of(value & 0xff, value >>> 8);
const u32 = (value: number): Uint8Array => concatBytes(u16(value & 0xffff), u16(value >>> 16));

/** The bytes that the attestation key signs: header, v5 descriptor, body. */
export function signedRegion(parts: QuoteParts): Uint8Array {
  const body = encodeTdBody(parts.body, parts.layout);
  const descriptor =
    parts.version === 5 ? concatBytes(u16(bodyTypes[parts.layout]), u32(body.length)) : new Uint8Array();
  return concatBytes(header(parts), descriptor, body);
}

function header(parts: QuoteParts): Uint8Array {
  return concatBytes(
    u16(parts.version),
    u16(parts.attestationKeyType),
    u32(parts.teeType),
    new Uint8Array(4),
    parts.qeVendorId,
    parts.userData,
  );
}

/** Signs and joins the parts; the quote ends right behind the signature data. */
export function assembleQuote(parts: QuoteParts): Uint8Array {
  const signed = signedRegion(parts);
  return joinQuote(signed, parts.attestationKey.sign(signed), parts);
}

/** Joins a signed region and a signature that need not belong together with the rest of the quote. */
export function joinQuote(signed: Uint8Array, signature: Uint8Array, parts: QuoteParts): Uint8Array {
  const qe = encodeQeReport(parts.qeReport);
  const chain = parts.certificationData ?? utf8(parts.certificationPem);
  const certification = concatBytes(
    qe,
    parts.pckKey.sign(qe),
    u16(parts.authenticationData.length),
    parts.authenticationData,
    u16(parts.innerCertificationDataType),
    u32(chain.length),
    chain,
  );
  const signatureData = concatBytes(
    signature,
    parts.attestationKey.publicKey,
    u16(parts.certificationDataType),
    u32(certification.length),
    certification,
  );
  return concatBytes(signed, u32(signatureData.length), signatureData);
}
