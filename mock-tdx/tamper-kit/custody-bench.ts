import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { u64BigEndian } from '../../src/bytes/integers.ts';
import type { DevelopmentPki, QuoteRequest } from '../development-pki.ts';
import { developmentMeasurements } from '../measurements.ts';
import type { TdBody } from '../quote/td-body.ts';

/** One part of a generation, as docs/keyslot-format.md has it. */
export interface RequestPart {
  readonly custodian: string;
  readonly sealed: Uint8Array;
  readonly digest: Uint8Array;
}

/** The fields of a request to custodians, as docs/custody.md lays them out. */
export interface RequestFields {
  readonly account: Uint8Array;
  /** The account as text. */
  readonly ss58: string;
  readonly storeId: Uint8Array;
  readonly generation: number;
  readonly threshold: number;
  readonly parts: readonly RequestPart[];
  readonly set: Uint8Array;
  readonly keyslots: Uint8Array;
  readonly oneTimeKey: Uint8Array;
  readonly block: number;
  readonly blockHash: Uint8Array;
  readonly report: Readonly<Record<string, unknown>>;
}

/** What a request is made of. */
export interface RequestParts {
  /** Before the quote is made. */
  readonly asked?: Partial<RequestFields>;
  /** After the quote was made. */
  readonly sent?: Partial<RequestFields>;
  readonly label?: string;
  /** Changes the bytes under the report data. */
  readonly alter?: (bytes: Uint8Array) => Uint8Array;
  readonly body?: Partial<TdBody>;
  readonly quote?: Omit<QuoteRequest, 'reportData' | 'body'>;
  readonly pki?: DevelopmentPki;
  /** Takes the place of the quote. */
  readonly quoteBytes?: (quote: Uint8Array) => Uint8Array;
  /** Fields of the JSON, after everything else. */
  readonly json?: Readonly<Record<string, unknown>>;
  /** Changes the finished text. */
  readonly text?: (text: string) => string;
}

/** What a bench needs of the fleet. */
export interface CustodyBenchParts {
  readonly pki: DevelopmentPki;
  /** Hash of the trust section, 48 bytes. */
  readonly mrConfigId: Uint8Array;
  /** PPID of the platform on which the parts were made. */
  readonly home: Uint8Array;
  readonly nowMs: number;
  readonly fields: Pick<
    RequestFields,
    'account' | 'ss58' | 'storeId' | 'generation' | 'threshold' | 'parts' | 'set'
  >;
}

/** Makes requests to custodians, and defects in them, without the code that verifies them. */
export class CustodyBench {
  readonly nowMs: number;
  readonly #parts: CustodyBenchParts;

  constructor(parts: CustodyBenchParts) {
    this.#parts = parts;
    this.nowMs = parts.nowMs;
  }

  get pki(): DevelopmentPki {
    return this.#parts.pki;
  }

  /** PPID of the platform on which the parts were made. */
  get home(): Uint8Array {
    return this.#parts.home;
  }

  /** A good request. */
  get good(): RequestFields {
    return {
      ...this.#parts.fields,
      keyslots: new Uint8Array(32).fill(1),
      oneTimeKey: new Uint8Array(1216).fill(2),
      block: 120,
      blockHash: new Uint8Array(32).fill(3),
      report: { blockAtMs: this.nowMs - 6_000, madeAtMs: this.nowMs, reason: 'locked (0 of 2)', servers: [] },
    };
  }

  /** The bytes under the report data. */
  static bytesOf(fields: RequestFields, label: string): Uint8Array {
    const partsDigest = sha256(
      concatBytes(
        utf8('latchkey/v1/custody/part'),
        ...fields.parts.flatMap(({ sealed, digest }) => [sealed, digest]),
      ),
    );
    return concatBytes(
      utf8(label),
      fields.account,
      fields.storeId,
      fields.keyslots,
      u64BigEndian(BigInt(fields.generation)),
      Uint8Array.of(fields.threshold),
      partsDigest,
      fields.set,
      fields.oneTimeKey,
      u64BigEndian(BigInt(fields.block)),
      fields.blockHash,
      // The reports here are written in the order of RFC 8785, and have no number that needs it.
      sha256(utf8(JSON.stringify(fields.report))),
    );
  }

  /** The text of a request. */
  request(parts: RequestParts = {}): string {
    const asked = { ...this.good, ...parts.asked };
    const bytes = CustodyBench.bytesOf(asked, parts.label ?? 'latchkey/v1/custody/request');
    const { pki = this.pki, alter = (same) => same, quoteBytes = (same) => same } = parts;
    const quote = pki.quote({
      reportData: sha512(alter(bytes)),
      facts: { ppid: this.#parts.home },
      ...parts.quote,
      body: { ...developmentMeasurements, mrConfigId: this.#parts.mrConfigId, ...parts.body },
    });
    const json = { ...toJson({ ...asked, ...parts.sent }, quoteBytes(quote)), ...parts.json };
    const text = block(JSON.stringify(json));
    return parts.text === undefined ? text : parts.text(text);
  }
}

const toJson = (fields: RequestFields, quote: Uint8Array) => ({
  account: fields.ss58,
  finalized: { hash: toPrefixedHex(fields.blockHash), number: fields.block },
  format: 'latchkey-custody-request',
  generation: fields.generation,
  keyslots: toPrefixedHex(fields.keyslots),
  oneTimeKey: toPrefixedHex(fields.oneTimeKey),
  parts: fields.parts.map(({ custodian, sealed, digest }) => ({
    custodian,
    digest: toPrefixedHex(digest),
    sealed: toPrefixedHex(sealed),
  })),
  quote: Buffer.from(quote).toString('base64'),
  report: fields.report,
  set: toPrefixedHex(fields.set),
  storeId: toPrefixedHex(fields.storeId),
  threshold: fields.threshold,
  version: 1,
});

/** A text block around JSON. */
export const block = (json: string, kind = 'REQUEST'): string =>
  [
    `-----BEGIN LATCHKEY CUSTODY ${kind}-----`,
    Buffer.from(json).toString('base64'),
    `-----END LATCHKEY CUSTODY ${kind}-----`,
    '',
  ].join('\n');
