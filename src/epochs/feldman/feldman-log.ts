import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { VerifiedLog } from '../dkg-scheme.ts';
import { participantName } from '../epoch-names.ts';
import { SHARE_SCALAR_BYTES } from '../epoch-record.ts';
import { RecordReader, RecordWriter } from '../record-codec.ts';
import type { RoundView } from './round-view.ts';

/** Bytes of an Ed25519 signature: of an ack, a dealing or a log. */
export const SIGNATURE_BYTES = 64;

/** One player's line in a log. */
export type LogLine =
  | { readonly kind: 'ack'; readonly ack: Uint8Array }
  | { readonly kind: 'reveal'; readonly scalar: Uint8Array };

/** A decoded log; the lines in the order of the players. */
export interface FeldmanLog {
  readonly publicMessage: Uint8Array;
  readonly lines: readonly LogLine[];
  readonly signature: Uint8Array;
}

/** The bytes that the signature of a log covers: `public message ‖ (0 ‖ ack (64) | 1 ‖ scalar (32))…`. */
export function logBody({ publicMessage, lines }: Omit<FeldmanLog, 'signature'>): Uint8Array {
  const writer = new RecordWriter().bytes(publicMessage);
  for (const line of lines) {
    if (line.kind === 'ack') writer.u8(0).fixed(line.ack);
    else writer.u8(1).fixed(line.scalar);
  }
  return writer.finish();
}

/** Reads `body ‖ signature (64)`; the round tells how many lines there are. @throws EvidenceError EPOCH_ENCODING. */
export function decodeLog(bytes: Uint8Array, view: RoundView): FeldmanLog {
  const reader = new RecordReader(bytes, 'DKG log');
  const publicMessage = reader.bytes(view.threshold * 32 + SIGNATURE_BYTES);
  const lines = view.players.map((): LogLine => {
    const tag = reader.u8();
    if (tag === 0) return { kind: 'ack', ack: reader.fixed(SIGNATURE_BYTES) };
    if (tag === 1) return { kind: 'reveal', scalar: reader.fixed(SHARE_SCALAR_BYTES) };
    return reader.refuse('tag 0 or 1', `tag ${tag}`);
  });
  const signature = reader.fixed(SIGNATURE_BYTES);
  reader.end();
  return { publicMessage, lines, signature };
}

/** The lines of a log by player, in the form that dealers and players use. */
export function resultsByPlayer(log: FeldmanLog, view: RoundView): VerifiedLog['results'] {
  const results = new Map<
    string,
    { readonly kind: 'ack' } | { readonly kind: 'reveal'; privateMessage: SecretBytes }
  >();
  view.players.forEach(({ publicKey }, at) => {
    const line = log.lines[at];
    if (line === undefined) return;
    const result =
      line.kind === 'ack'
        ? ({ kind: 'ack' } as const)
        : ({ kind: 'reveal', privateMessage: new SecretBytes(line.scalar) } as const);
    results.set(participantName(publicKey), result);
  });
  return results;
}
