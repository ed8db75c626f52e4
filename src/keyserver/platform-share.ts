import { equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import type { Provenance } from './slot-key.ts';

/** The keys of one platform. */
export class PlatformShare {
  keys = 0;
  plainKeys = 0;
  readonly perAccount = new Map<string, number>();
  readonly #platform: Uint8Array;
  readonly #provenances: Provenance[] = [];

  constructor(platform: Uint8Array) {
    this.#platform = copyBytes(platform);
  }

  /** One object for all keys of a trust section, with bytes of its own: those of a request are a part of its quote. */
  provenanceOf(trustHash: Uint8Array): Provenance {
    const known = this.#provenances.find((other) => equalBytes(other.trustHash, trustHash));
    if (known !== undefined) return known;
    const made: Provenance = { platform: this.#platform, trustHash: copyBytes(trustHash) };
    this.#provenances.push(made);
    return made;
  }
}
