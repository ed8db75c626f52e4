import { copyBytes } from '../bytes/copy-bytes.ts';
import { requireInteger } from '../bytes/require-value.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { RecordReader, RecordWriter } from './record-codec.ts';

/** Bytes of a participant's public key. */
export const PARTICIPANT_BYTES = 32;
/** Bytes of the seed from which a dealer derives its polynomial. */
export const SEED_BYTES = 32;
/** Bytes of a share's scalar. */
export const SHARE_SCALAR_BYTES = 32;

/** Largest index of a share: it is kept as a u32. */
const MAX_SHARE_INDEX = 0xffff_ffff;

/** A participant's part of the group secret. */
export interface Share {
  /** Where the polynomial was evaluated; from 1. */
  readonly index: number;
  /** 32 bytes. */
  readonly scalar: SecretBytes;
}

/** The state with which an epoch begins. */
export interface EpochState {
  /** Counts successful rounds; 0 before the first. */
  readonly round: number;
  /** 32 bytes: the dealer's polynomial of this epoch follows from it. */
  readonly rngSeed: SecretBytes;
  /** The public outcome of the last successful round, in the scheme's own encoding. */
  readonly output?: Uint8Array;
  /** Absent on an observer. */
  readonly share?: Share;
}

/**
 * A copy of a state, with its secrets, that the caller can neither change nor wipe any more.
 * @throws TypeError for bytes or secrets of another type, RangeError for numbers that are no integers.
 */
export function copyEpochState({ round, rngSeed, output, share }: EpochState): EpochState {
  requireInteger(round, 'round');
  return {
    round,
    rngSeed: new SecretBytes(rngSeed.reveal()),
    ...(output === undefined ? {} : { output: copyBytes(output, 'output') }),
    ...(share === undefined ? {} : { share: copyShare(share) }),
  };
}

function copyShare({ index, scalar }: Share): Share {
  requireInteger(index, 'index of the share', MAX_SHARE_INDEX);
  return { index, scalar: new SecretBytes(scalar.reveal()) };
}

/** Wipes the secrets of a state. */
export function wipeEpochState({ rngSeed, share }: EpochState): void {
  rngSeed.wipe();
  share?.scalar.wipe();
}

/** The half of an epoch's state that is not secret. */
export type PublicEpochState = Pick<EpochState, 'round' | 'output'>;

/** Kinds of records about one participant in one epoch. */
export const eventKinds = ['dealing', 'ack', 'log', 'evidence'] as const;
/** Tag on disk: its position in {@link eventKinds}. The first three are commonware's; evidence is ours. */
export type EventKind = (typeof eventKinds)[number];

/** One record of the journal. */
export interface JournalEvent {
  readonly kind: EventKind;
  /** 32 bytes: the dealer of a dealing, log or evidence, the player of an ack. */
  readonly participant: Uint8Array;
  readonly message: Uint8Array;
}

/** `round (u64) ‖ option(length ‖ output)`. */
export const encodePublicState = ({ round, output }: PublicEpochState): Uint8Array =>
  new RecordWriter()
    .u64(round)
    .option(output, (writer, value) => writer.bytes(value))
    .finish();

/** Reads {@link encodePublicState}. @throws EvidenceError EPOCH_ENCODING. */
export function decodePublicState(bytes: Uint8Array, maxOutputBytes: number): PublicEpochState {
  const reader = new RecordReader(bytes, 'epoch state');
  const round = reader.u64();
  const output = reader.option((inner) => inner.bytes(maxOutputBytes));
  reader.end();
  return { round, ...(output === undefined ? {} : { output }) };
}

function writeShare(writer: RecordWriter, share: Share): void {
  if (share.scalar.length !== SHARE_SCALAR_BYTES)
    throw new RangeError(`a share's scalar must be ${SHARE_SCALAR_BYTES} bytes, got ${share.scalar.length}`);
  writer.varint(share.index).fixed(share.scalar.reveal());
}

const readShare = (reader: RecordReader): Share => ({
  index: reader.varint(),
  scalar: SecretBytes.adopt(reader.fixed(SHARE_SCALAR_BYTES)),
});

/** `index (varint) ‖ scalar (32)`. */
export function encodeShare(share: Share): Uint8Array {
  const writer = new RecordWriter();
  writeShare(writer, share);
  return writer.finish();
}

/** Reads {@link encodeShare}. @throws EvidenceError EPOCH_ENCODING. */
export function decodeShare(bytes: Uint8Array): Share {
  const reader = new RecordReader(bytes, 'share');
  const share = readShare(reader);
  reader.end();
  return share;
}

/**
 * The whole state in one piece, fields in the order `round ‖ rngSeed ‖ option(output) ‖ option(share)`, for moving
 * a node by hand. It holds secrets: never write it outside the sealed store.
 */
export function encodeEpochState(state: EpochState): Uint8Array {
  if (state.rngSeed.length !== SEED_BYTES)
    throw new RangeError(`rngSeed must be ${SEED_BYTES} bytes, got ${state.rngSeed.length}`);
  return new RecordWriter()
    .u64(state.round)
    .fixed(state.rngSeed.reveal())
    .option(state.output, (writer, value) => writer.bytes(value))
    .option(state.share, writeShare)
    .finish();
}

/** Reads {@link encodeEpochState}. @throws EvidenceError EPOCH_ENCODING. */
export function decodeEpochState(bytes: Uint8Array, maxOutputBytes: number): EpochState {
  const reader = new RecordReader(bytes, 'epoch state');
  const round = reader.u64();
  const rngSeed = SecretBytes.adopt(reader.fixed(SEED_BYTES));
  const output = reader.option((inner) => inner.bytes(maxOutputBytes));
  const share = reader.option(readShare);
  reader.end();
  return {
    round,
    rngSeed,
    ...(output === undefined ? {} : { output }),
    ...(share === undefined ? {} : { share }),
  };
}

/** `tag (0 dealing, 1 ack, 2 log, 3 evidence) ‖ participant (32) ‖ length ‖ message`. */
export function encodeEvent({ kind, participant, message }: JournalEvent): Uint8Array {
  return new RecordWriter().u8(eventKinds.indexOf(kind)).fixed(participant).bytes(message).finish();
}

/** Reads {@link encodeEvent}. @throws EvidenceError EPOCH_ENCODING, also for an unknown tag. */
export function decodeEvent(bytes: Uint8Array, maxMessageBytes: number): JournalEvent {
  const reader = new RecordReader(bytes, 'journal event');
  const tag = reader.u8();
  const kind = eventKinds[tag] ?? reader.refuse('tag 0 to 3', `tag ${tag}`);
  const participant = reader.fixed(PARTICIPANT_BYTES);
  const message = reader.bytes(maxMessageBytes);
  reader.end();
  return { kind, participant, message };
}
