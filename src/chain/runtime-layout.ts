/**
 * How a value lies in SCALE bytes, as far as is needed to step over it. Only forms that take at least one byte; what
 * takes none does not appear.
 */
export type Layout =
  /** A fixed number of bytes. */
  | { readonly kind: 'fixed'; readonly bytes: number }
  /** A compact integer. */
  | { readonly kind: 'compact' }
  /** One after the other. */
  | { readonly kind: 'tuple'; readonly parts: readonly Layout[] }
  /** A compact count, then that number of items. */
  | { readonly kind: 'sequence'; readonly of: Layout }
  | { readonly kind: 'array'; readonly length: number; readonly of: Layout }
  /** One byte that chooses what follows. */
  | {
      readonly kind: 'choice';
      readonly variants: readonly { readonly index: number; readonly parts: readonly Layout[] }[];
    };

/** The fields of a ServerInfo that are read; each has one form, which the metadata must give it. */
export const serverInfoFields = {
  tssAccount: 'AccountId32',
  x25519PublicKey: '[u8;32]',
  endpoint: 'Bytes',
  tdxQuote: 'Bytes',
} as const;

/** Name of a field that is read. */
export type ServerInfoField = keyof typeof serverInfoFields;

/** The layout of a runtime's records: the part of its metadata that differs between versions of the runtime. */
export interface RuntimeLayout {
  /** The fields of a ServerInfo in their order; those that are not read as the bytes to step over. */
  readonly serverInfo: readonly (ServerInfoField | Layout)[];
  /** Index of SupportedCvmServices::EntropyTss, the map key of the accepted measurements. */
  readonly entropyTssIndex: number;
  /** Whether Timestamp.Now is there, as u64. */
  readonly hasTimestamp: boolean;
}

/** What the decoder process answers, as JSON. */
export type DecoderAnswer =
  | { readonly kind: 'layout'; readonly layout: RuntimeLayout }
  /** A storage item has another form than the one that can be read. */
  | { readonly kind: 'shape'; readonly item: string; readonly expected: string; readonly observed: string }
  /** The library could not use the metadata. */
  | { readonly kind: 'unusable'; readonly why: string };

/** Largest metadata that is read; Polkadot's has 0.6 MB. */
export const MAX_METADATA_BYTES = 8 * 1024 * 1024;
/** Largest answer of the decoder process; honest ones have some hundred bytes. */
export const MAX_ANSWER_BYTES = 64 * 1024;
/** Deepest nesting and number of all forms of one layout together. */
export const MAX_LAYOUT_DEPTH = 16;
export const MAX_LAYOUT_PARTS = 512;
/** Characters of each text in an answer. */
export const MAX_TEXT_CHARACTERS = 500;
