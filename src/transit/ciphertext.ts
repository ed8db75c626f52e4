import { toBase64, tryFromBase64 } from '../bytes/base64.ts';
import { concatBytes, utf8 } from '../bytes/concat.ts';
import { u16BigEndian, u64BigEndian } from '../bytes/integers.ts';

/** Highest version of a key. */
export const MAX_KEY_VERSION = 999_999;

/** What a ciphertext text holds. */
export interface TransitCiphertext {
  /** From 1. */
  readonly version: number;
  /** 24-byte nonce ‖ ciphertext ‖ 16-byte tag. */
  readonly sealed: Uint8Array;
}

/** The text in the form of Vault's transit engine; its seal reads the version from the middle of the three parts. */
export const encodeCiphertext = ({ version, sealed }: TransitCiphertext): string =>
  `vault:v${version}:${toBase64(sealed)}`;

/** Reads the one text of a ciphertext; `undefined` for any other text, also for another encoding of the same bytes. */
export function decodeCiphertext(text: string): TransitCiphertext | undefined {
  const [, version, encoded] = /^vault:v([1-9][0-9]{0,5}):([^:]*)$/.exec(text) ?? [];
  const sealed = encoded === undefined ? undefined : tryFromBase64(encoded);
  return sealed === undefined ? undefined : { version: Number(version), sealed };
}

const LABEL = utf8('latchkey/v1/transit');

/** Associated data of the AEAD: label ‖ u16 length of the name ‖ name ‖ u64 version ‖ what the caller adds. */
export function boundData(name: string, version: number, added: Uint8Array): Uint8Array {
  const nameBytes = utf8(name);
  return concatBytes(LABEL, u16BigEndian(nameBytes.length), nameBytes, u64BigEndian(version), added);
}
