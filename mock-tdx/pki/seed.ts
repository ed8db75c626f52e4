import { hmac } from '@noble/hashes/hmac.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { utf8 } from '../../src/bytes/concat.ts';

const MAX_DERIVED_BYTES = 64;

/** Everything random in a development PKI, derived from one seed by label: the same seed gives the same PKI. */
export class Seed {
  readonly #key: Uint8Array;

  constructor(seed: Uint8Array) {
    this.#key = seed;
  }

  /** 1 to 64 bytes for one label: HMAC-SHA-512(seed, label). */
  bytes(label: string, length: number): Uint8Array {
    if (length > MAX_DERIVED_BYTES)
      throw new RangeError(`a seed gives at most 64 bytes a label, not ${length}`);
    return hmac(sha512, this.#key, utf8(`latchkey/mock-tdx/${label}`)).slice(0, length);
  }

  /** A 20-byte certificate serial number: positive, and never shorter when encoded, as Intel's are. */
  serialNumber(label: string): Uint8Array {
    const serial = this.bytes(`serial/${label}`, 20);
    serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
    return serial;
  }
}
