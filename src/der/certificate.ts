import { byteAt } from '../bytes/byte-at.ts';
import { toHex } from '../bytes/hex.ts';
import { P256PublicKey } from '../crypto/p256.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { contextTag, DerReader, tags } from './der-reader.ts';
import { readEcdsaSignature } from './ecdsa-signature.ts';
import { extensionOids, readExtensions } from './extensions.ts';
import { type Name, readName } from './name.ts';
import { readTimeMs } from './time.ts';

/** An X.509 v3 certificate as Intel issues it: P-256 key, ecdsa-with-SHA256. Nothing is verified yet. */
export interface Certificate {
  /** How messages call it. */
  readonly document: string;
  readonly der: Uint8Array;
  /** The signed part. */
  readonly tbs: Uint8Array;
  /** r ‖ s, 64 bytes. */
  readonly signature: Uint8Array;
  /** Lower-case hex without leading zeros. */
  readonly serialNumber: string;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: P256PublicKey;
  readonly isCa: boolean;
  /** How many CA certificates may follow below this one (pathLenConstraint); Infinity when any number. */
  readonly maxCasBelow: number;
  readonly keyUsage: KeyUsage;
  /** Contents by dotted OID. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
}

/** The bits of KeyUsage (RFC 5280 section 4.2.1.3) that matter here. */
export interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
  readonly cRLSign: boolean;
}

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
const PRIME256V1 = '1.2.840.10045.3.1.7';
const UNCOMPRESSED_POINT = 0x04;
const MAX_SERIAL_BYTES = 20;
const VERSION_3 = 2;

const understood: ReadonlySet<string> = new Set([extensionOids.keyUsage, extensionOids.basicConstraints]);
/** What each certificate of Intel's has, and what Intel's verifier asks for in each (QVL, X509Constants.h). */
const required = {
  authorityKeyIdentifier: extensionOids.authorityKeyIdentifier,
  crlDistributionPoints: extensionOids.crlDistributionPoints,
  subjectKeyIdentifier: extensionOids.subjectKeyIdentifier,
  keyUsage: extensionOids.keyUsage,
  basicConstraints: extensionOids.basicConstraints,
} as const;

/**
 * Parses one certificate strictly (RFC 5280 section 4.1).
 * @throws EvidenceError with `code`.
 */
export function parseCertificate(
  der: Uint8Array,
  document: string,
  code: ErrorCode = 'CERTIFICATE_MALFORMED',
): Certificate {
  const context = { code, document };
  const outer = new DerReader(der, context);
  const certificate = outer.enter();
  outer.end();
  const tbsReader = certificate.clone();
  const tbs = certificate.whole(tags.sequence);
  readSignatureAlgorithm(certificate);
  const signature = readEcdsaSignature(new DerReader(certificate.byteString(), context));
  certificate.end();
  return { document, der, tbs, signature, ...readTbs(tbsReader.enter(), context) };
}

function readTbs(tbs: DerReader, context: { readonly code: ErrorCode; readonly document: string }) {
  const version = tbs.enter(contextTag(0));
  if (version.smallInteger(VERSION_3) !== VERSION_3) tbs.fail('X.509 version 3', 'an older version');
  version.end();
  const serialNumber = readSerialNumber(tbs);
  readSignatureAlgorithm(tbs);
  const issuer = readName(tbs);
  const validity = tbs.enter();
  const notBeforeMs = readTimeMs(validity);
  const notAfterMs = readTimeMs(validity);
  validity.end();
  const subject = readName(tbs);
  const publicKey = readPublicKey(tbs);
  const wrapped = tbs.enter(contextTag(3));
  const extensions = readExtensions(wrapped, understood);
  wrapped.end();
  tbs.end();
  const requireExtension = (name: keyof typeof required): Uint8Array =>
    extensions.get(required[name]) ?? tbs.fail(`the extension ${name}`, 'none');
  requireExtension('authorityKeyIdentifier');
  requireExtension('crlDistributionPoints');
  requireExtension('subjectKeyIdentifier');
  const authority = readBasicConstraints(new DerReader(requireExtension('basicConstraints'), context));
  const keyUsage = readKeyUsage(new DerReader(requireExtension('keyUsage'), context));
  return {
    serialNumber,
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKey,
    ...authority,
    keyUsage,
    extensions,
  };
}

/** Requires ecdsa-with-SHA256 without parameters (RFC 5758 section 3.2). */
export function readSignatureAlgorithm(reader: DerReader): void {
  const algorithm = reader.enter();
  const oid = algorithm.oid();
  if (oid !== ECDSA_WITH_SHA256) algorithm.fail('ecdsa-with-SHA256', oid);
  algorithm.end();
}

/** Reads a serial number of at most 20 bytes as lower-case hex without leading zeros, so that equal numbers have equal texts. */
export function readSerialNumber(reader: DerReader): string {
  const bytes = reader.unsignedInteger();
  if (bytes.length > MAX_SERIAL_BYTES)
    reader.fail(`a serial number of at most ${MAX_SERIAL_BYTES} bytes`, `${bytes.length} bytes`);
  return toHex(bytes);
}

function readPublicKey(tbs: DerReader): P256PublicKey {
  const info = tbs.enter();
  const algorithm = info.enter();
  const type = algorithm.oid();
  const curve = algorithm.oid();
  algorithm.end();
  if (type !== EC_PUBLIC_KEY || curve !== PRIME256V1) info.fail('a P-256 key', `${type} on ${curve}`);
  const point = info.byteString();
  info.end();
  if (point.length !== 65 || point[0] !== UNCOMPRESSED_POINT)
    return info.fail('an uncompressed point of 65 bytes', `${point.length} bytes`);
  return (
    P256PublicKey.fromRaw(point.subarray(1)) ??
    info.fail('a point on P-256', 'a point that is not on the curve')
  );
}

/** A pathLenConstraint is allowed in CA certificates only (RFC 5280 section 4.2.1.9). */
function readBasicConstraints(reader: DerReader): Pick<Certificate, 'isCa' | 'maxCasBelow'> {
  const constraints = reader.enter();
  reader.end();
  const isCa = constraints.flag();
  const maxCasBelow = isCa && constraints.hasMore ? constraints.smallInteger(255) : Number.POSITIVE_INFINITY;
  constraints.end();
  return { isCa, maxCasBelow };
}

function readKeyUsage(reader: DerReader): KeyUsage {
  const { bytes } = reader.bitString();
  reader.end();
  const bits = bytes.length === 0 ? 0 : byteAt(bytes, 0);
  return {
    digitalSignature: (bits & 0x80) !== 0,
    keyCertSign: (bits & 0x04) !== 0,
    cRLSign: (bits & 0x02) !== 0,
  };
}
