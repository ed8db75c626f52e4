import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { toBase64 } from '../../src/bytes/base64.ts';
import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { u64BigEndian } from '../../src/bytes/integers.ts';

const seedOf = (name: string): Uint8Array => sha256(utf8(`fleet tamper kit/${name}`));

/** Bytes that are the same at every run. */
export const named = (name: string, length = 32): Uint8Array => seedOf(name).subarray(0, length);

/** The fields of a header, as docs/fleet.md lays them out. */
export interface HeaderFields {
  readonly network: Uint8Array;
  readonly authorityId: Uint8Array;
  readonly serial: bigint;
  readonly previous: Uint8Array;
  readonly bodyHash: Uint8Array;
  readonly issuedAtMs: bigint;
}

/** What a manifest file is made of. */
export interface FileParts {
  readonly body?: string;
  readonly fields?: Partial<HeaderFields>;
  /** Names of the keys that sign. */
  readonly by?: readonly string[];
  /** Changes the signed header after it was signed. */
  readonly alter?: (signed: Uint8Array) => Uint8Array;
  readonly endorsed?: string;
  /** Takes the place of the body after it was signed. */
  readonly sentBody?: string;
}

/** Makes manifests and defects in them, without the code that verifies them. */
export class FleetBench {
  readonly network: Uint8Array = named('network');
  readonly authorityId: Uint8Array = named('authority', 16);
  readonly issuedAtMs = Date.UTC(2026, 10, 21);
  readonly section = {
    id: toPrefixedHex(this.authorityId),
    threshold: 2,
    keys: ['a', 'b', 'c'].map((name) => toPrefixedHex(this.publicKey(name))).sort(),
    minimumSerial: 5,
    delayMs: 0,
  };

  publicKey(name: string): Uint8Array {
    return ed25519.getPublicKey(seedOf(name));
  }

  /** The body of rules with changes, in the order of RFC 8785. */
  body(changes: Readonly<Record<string, unknown>> = {}): string {
    const rules = {
      kind: 'rules',
      measurements: [],
      moves: [],
      platforms: {},
      trustHashes: [],
      version: 1,
      ...changes,
    };
    return JSON.stringify(Object.fromEntries(Object.entries(rules).sort(([a], [b]) => (a < b ? -1 : 1))));
  }

  header(body: string, fields: Partial<HeaderFields> = {}): Uint8Array {
    const all = {
      network: this.network,
      authorityId: this.authorityId,
      serial: 5n,
      previous: new Uint8Array(32),
      bodyHash: sha256(utf8(body)),
      issuedAtMs: BigInt(this.issuedAtMs),
      ...fields,
    };
    return concatBytes(
      all.network,
      all.authorityId,
      u64BigEndian(all.serial),
      all.previous,
      all.bodyHash,
      u64BigEndian(all.issuedAtMs),
    );
  }

  /** Header and signatures, ascending by key. */
  signed(header: Uint8Array, by: readonly string[], label = 'latchkey/v1/fleet'): Uint8Array {
    const entries = by.map((name) =>
      concatBytes(this.publicKey(name), ed25519.sign(concatBytes(utf8(label), header), seedOf(name))),
    );
    entries.sort((a, b) => Buffer.compare(a, b));
    return concatBytes(header, Uint8Array.of(entries.length), ...entries);
  }

  /** The text of a manifest file. */
  file({
    body = this.body(),
    fields,
    by = ['a', 'b'],
    alter,
    endorsed,
    sentBody = body,
  }: FileParts = {}): string {
    // A handover has the last serial.
    const serial = body.includes('"kind":"handover"') ? 2n ** 53n - 1n : 5n;
    const signed = this.signed(this.header(body, { serial, ...fields }), by);
    return JSON.stringify({
      format: 'latchkey-fleet-manifest',
      version: 1,
      header: toBase64(alter === undefined ? signed : alter(signed)),
      body: toBase64(utf8(sentBody)),
      ...(endorsed === undefined ? {} : { endorsed: toBase64(utf8(endorsed)) }),
    });
  }
}
