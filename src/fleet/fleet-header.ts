import { concatBytes, utf8 } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { sha256 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Start of what the keys of an authority sign. */
const FLEET_LABEL = utf8('latchkey/v1/fleet');

/** The header of a fleet manifest: small, because it travels with every grant. Hashes are SHA-256. */
export interface FleetHeader {
  /** Hash of block 0 of the chain, 32 bytes. */
  readonly network: Uint8Array;
  /** 16 bytes. */
  readonly authorityId: Uint8Array;
  /** From 1; grows by any amount. */
  readonly serial: number;
  /** {@link headerHash} of the manifest before it, 32 bytes; zeros for the very first. */
  readonly previous: Uint8Array;
  /** Hash of the exact bytes of the body, 32 bytes. */
  readonly bodyHash: Uint8Array;
  readonly issuedAtMs: number;
}

const layout = {
  network: 0,
  authorityId: 32,
  serial: 48,
  previous: 56,
  bodyHash: 88,
  issuedAtMs: 120,
} as const;

/** Length of every header. */
export const FLEET_HEADER_BYTES = 128;

/** The highest serial: nothing can follow it, so it is the serial of a handover that must not be overtaken. */
export const LAST_SERIAL = Number.MAX_SAFE_INTEGER;

/** {@link FleetHeader.previous} of a manifest without predecessor. */
export const noPredecessor: Uint8Array = new Uint8Array(32);

/** The exact bytes of a header: the fields in their order, integers as big-endian u64. */
export function encodeHeader(header: FleetHeader): Uint8Array {
  const bytes = concatBytes(
    header.network,
    header.authorityId,
    u64BigEndian(header.serial),
    header.previous,
    header.bodyHash,
    u64BigEndian(header.issuedAtMs),
  );
  if (bytes.length === FLEET_HEADER_BYTES) return bytes;
  throw new RangeError(`a fleet header has ${FLEET_HEADER_BYTES} bytes, got fields of ${bytes.length}`);
}

/** Reads the exact bytes of a header. @throws EvidenceError FLEET_HEADER_MALFORMED. */
export function decodeHeader(bytes: Uint8Array): FleetHeader {
  if (bytes.length !== FLEET_HEADER_BYTES)
    throw malformedHeader('header', `${FLEET_HEADER_BYTES} bytes`, `${bytes.length} bytes`);
  const own = copyBytes(bytes, 'header');
  const serial = safeInteger(own, layout.serial, 'serial');
  if (serial === 0) throw malformedHeader('serial', 'from 1', '0');
  return {
    network: own.subarray(layout.network, layout.authorityId),
    authorityId: own.subarray(layout.authorityId, layout.serial),
    serial,
    previous: own.subarray(layout.previous, layout.bodyHash),
    bodyHash: own.subarray(layout.bodyHash, layout.issuedAtMs),
    issuedAtMs: safeInteger(own, layout.issuedAtMs, 'issuedAtMs'),
  };
}

/** The serial in the bytes of a header, not verified. @param bytes at least {@link FLEET_HEADER_BYTES}. */
export const serialIn = (bytes: Uint8Array): bigint => readU64BigEndian(bytes, layout.serial);

/** SHA-256 of the header's bytes, the name of a manifest. Signatures are not part of it. */
export const headerHash = (header: FleetHeader): Uint8Array => sha256(encodeHeader(header));

/** What each key signs: label ‖ the header's bytes. */
export const signingInput = (headerBytes: Uint8Array): Uint8Array => concatBytes(FLEET_LABEL, headerBytes);

/** A fault in the bytes of a header or of its signatures. */
export const malformedHeader = (field: string, expected: string, observed: string): EvidenceError =>
  new EvidenceError('FLEET_HEADER_MALFORMED', `fleet header: ${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });

function safeInteger(bytes: Uint8Array, at: number, field: string): number {
  const value = readU64BigEndian(bytes, at);
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw malformedHeader(field, 'at most 2^53 - 1', `${value}`);
}
