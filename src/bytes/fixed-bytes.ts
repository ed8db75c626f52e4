import { EvidenceError } from '../errors/latchkey-error.ts';
import { copyBytes } from './copy-bytes.ts';
import { parsePrefixedHex } from './hex.ts';
import { decodeSs58 } from './ss58.ts';

declare const brand: unique symbol;

/** Bytes of one length and one meaning; made only by the constructors below. */
export type FixedBytes<Name extends string> = Uint8Array & { readonly [brand]: Name };

/** Makes values of one branded type: by bytes (misuse is a RangeError) or from text (bad input is FIELD_INVALID). */
interface FixedBytesType<Name extends string> {
  readonly byteLength: number;
  /** Copies bytes that the program made. @throws RangeError on another length, TypeError for anything but bytes. */
  of(bytes: Uint8Array): FixedBytes<Name>;
  /** Reads `0x` hex of a request. @throws EvidenceError FIELD_INVALID naming `field`. */
  parse(text: string, field: string): FixedBytes<Name>;
}

function fixedBytes<Name extends string>(name: Name, byteLength: number): FixedBytesType<Name> {
  return {
    byteLength,
    of(bytes) {
      const copy = copyBytes(bytes, name);
      if (copy.length !== byteLength)
        throw new RangeError(`${name} must be ${byteLength} bytes, got ${copy.length}`);
      // The brand exists only in the type system; the length was just checked.
      return copy as Uint8Array as FixedBytes<Name>;
    },
    parse(text, field) {
      return parsePrefixedHex(text, byteLength, field) as FixedBytes<Name>;
    },
  };
}

/** A node's 32-byte sr25519 account id. */
export type AccountId = FixedBytes<'AccountId'>;
const accountIdHex = fixedBytes('AccountId', 32);
export const AccountId = {
  ...accountIdHex,
  /** Reads SS58 (prefix 42) or `0x` hex. @throws EvidenceError FIELD_INVALID naming `field`. */
  parse(text: string, field: string): AccountId {
    if (text.startsWith('0x')) return accountIdHex.parse(text, field);
    const decoded = decodeSs58(text);
    if (decoded.ok) return accountIdHex.of(decoded.accountId);
    throw new EvidenceError('FIELD_INVALID', `${field} is not an account: ${decoded.reason}`, {
      field,
      expected: 'SS58 with prefix 42, or 0x and 64 hex digits',
      observed: decoded.reason,
    });
  },
};

/** A 32-byte X25519 public key. */
export type X25519PublicKey = FixedBytes<'X25519PublicKey'>;
export const X25519PublicKey = fixedBytes('X25519PublicKey', 32);

/** A server's 32-byte challenge. */
export type Nonce = FixedBytes<'Nonce'>;
export const Nonce = fixedBytes('Nonce', 32);

/** 16 random bytes that name one server key of one account; all zero in the plain request. */
export type SlotId = FixedBytes<'SlotId'>;
export const SlotId = fixedBytes('SlotId', 16);

/** 16 bytes that name a lineage at one server. */
export type LineageId = FixedBytes<'LineageId'>;
export const LineageId = fixedBytes('LineageId', 16);

/** 16 random bytes that a server draws at every start. */
export type InstanceId = FixedBytes<'InstanceId'>;
export const InstanceId = fixedBytes('InstanceId', 16);

/** 16 bytes that name a server key without telling it. */
export type KeyId = FixedBytes<'KeyId'>;
export const KeyId = fixedBytes('KeyId', 16);

/** SHA-256 of the PPID of a platform, 32 bytes: how lists and refusals name a machine. */
export type PlatformHash = FixedBytes<'PlatformHash'>;
export const PlatformHash = fixedBytes('PlatformHash', 32);

/** 64 bytes of user data inside a quote. */
export type ReportData = FixedBytes<'ReportData'>;
export const ReportData = fixedBytes('ReportData', 64);

/** A 32-byte block hash. */
export type BlockHash = FixedBytes<'BlockHash'>;
export const BlockHash = fixedBytes('BlockHash', 32);

/** 32 bytes of a MAC (HMAC-SHA-256). */
export type Mac = FixedBytes<'Mac'>;
export const Mac = fixedBytes('Mac', 32);

/** 32 bytes that name a record of the ring. */
export type RecordId = FixedBytes<'RecordId'>;
export const RecordId = fixedBytes('RecordId', 32);
