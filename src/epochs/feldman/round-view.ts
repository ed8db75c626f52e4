import { compareBytes, concatBytes, utf8 } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import { u64BigEndian } from '../../bytes/integers.ts';
import { sha256 } from '../../crypto/sha2.ts';
import type { Participant, Round, VerifiedLog } from '../dkg-scheme.ts';
import { participantName } from '../epoch-names.ts';
import { PARTICIPANT_BYTES } from '../epoch-record.ts';
import { RecordReader, RecordWriter } from '../record-codec.ts';
import { Commitment } from './commitment.ts';

/** Most members of a round. */
export const MAX_PARTICIPANTS = 1024;

/** How many of `n` may be faulty: the largest f with n ≥ 3 f + 1. */
export const maxFaults = (n: number): number => Math.floor((n - 1) / 3);
/** How many of `n` are needed: n − f. */
export const quorum = (n: number): number => n - maxFaults(n);

/** The public result of a round. */
export interface FeldmanOutput {
  /** The group's polynomial; its constant is the public key. */
  readonly commitment: Commitment;
  /** Holders of shares, ascending; the first has index 1. */
  readonly holders: readonly Uint8Array[];
}

/** `count ‖ holders (32 each) ‖ commitment (32 × quorum(count))`. */
export function encodeOutput({ commitment, holders }: FeldmanOutput): Uint8Array {
  const writer = new RecordWriter().varint(holders.length);
  for (const holder of holders) writer.fixed(holder);
  return writer.fixed(commitment.toBytes()).finish();
}

/** Reads {@link encodeOutput}. @throws EvidenceError EPOCH_ENCODING. */
export function decodeOutput(bytes: Uint8Array): FeldmanOutput {
  const reader = new RecordReader(bytes, 'DKG output');
  const count = reader.count(MAX_PARTICIPANTS);
  if (count === 0) reader.refuse('at least one holder', 'none');
  const holders = Array.from({ length: count }, () => reader.fixed(PARTICIPANT_BYTES));
  const ascending = holders.every(
    (holder, at) => at === 0 || compareBytes(holders[at - 1] ?? holder, holder) < 0,
  );
  if (!ascending) reader.refuse('ascending holders', 'another order');
  const elements = reader.fixed(quorum(count) * 32);
  reader.end();
  const commitment =
    Commitment.tryFromBytes(elements, quorum(count)) ?? reader.refuse('group elements', 'other bytes');
  return { commitment, holders };
}

/** A round as the scheme sees it: members in order, thresholds, and the transcript that every signature binds. */
export class RoundView {
  readonly dealers: readonly Participant[];
  readonly players: readonly Participant[];
  readonly previous: FeldmanOutput | undefined;
  /** 32 bytes over everything that the members agreed on. */
  readonly transcript: Uint8Array;
  /** Public messages of this round that were checked and are valid; the same message is needed many times. */
  readonly checked = new Map<string, Commitment>();
  /** Logs of this round that were checked and are valid. */
  readonly checkedLogs = new Map<string, VerifiedLog>();
  readonly #dealerIndex: ReadonlyMap<string, number>;
  readonly #playerIndex: ReadonlyMap<string, number>;

  /** @throws EvidenceError EPOCH_ENCODING for a bad previous output; RangeError for bad members. */
  constructor(round: Round) {
    this.dealers = ascending(round.dealers, 'dealers');
    this.players = ascending(round.players, 'players');
    this.previous = round.previous && decodeOutput(round.previous);
    this.transcript = sha256(
      utf8('latchkey/v1/dkg-round'),
      framed(utf8(round.network)),
      u64BigEndian(round.epoch),
      u64BigEndian(round.round),
      framed(memberBytes(this.dealers)),
      framed(memberBytes(this.players)),
      framed(round.previous ?? new Uint8Array(0)),
    );
    const dealing = this.previous?.holders ?? this.dealers.map(({ publicKey }) => publicKey);
    this.#dealerIndex = indices(dealing);
    this.#playerIndex = indices(this.players.map(({ publicKey }) => publicKey));
  }

  /** Coefficients of a dealing's polynomial. */
  get threshold(): number {
    return quorum(this.players.length);
  }

  /** Logs that an outcome takes. */
  get logsNeeded(): number {
    return this.previous === undefined ? quorum(this.dealers.length) : quorum(this.previous.holders.length);
  }

  /** A player's index, from 1. */
  playerIndex(player: Uint8Array): number | undefined {
    return this.#playerIndex.get(participantName(player));
  }

  /** Index at which a dealer holds its share of the previous output; in a first round its place in the order. */
  dealerIndex(dealer: Uint8Array): number | undefined {
    const name = participantName(dealer);
    const member = this.dealers.some(({ publicKey }) => participantName(publicKey) === name);
    return member ? this.#dealerIndex.get(name) : undefined;
  }
}

/** Keeps valid results only, and at most four for each member, so that a flood of messages cannot fill memory. */
export function remember<T>(
  known: Map<string, T>,
  key: Uint8Array,
  check: () => T | undefined,
): T | undefined {
  const name = toHex(key);
  const before = known.get(name);
  if (before !== undefined) return before;
  const result = check();
  if (result !== undefined && known.size < 4 * MAX_PARTICIPANTS) known.set(name, result);
  return result;
}

const indices = (keys: readonly Uint8Array[]): ReadonlyMap<string, number> =>
  new Map(keys.map((key, at) => [participantName(key), at + 1]));

const framed = (bytes: Uint8Array): Uint8Array => concatBytes(u64BigEndian(bytes.length), bytes);

const memberBytes = (members: readonly Participant[]): Uint8Array =>
  concatBytes(...members.flatMap(({ publicKey, encryptionKey }) => [publicKey, encryptionKey]));

function ascending(members: readonly Participant[], what: string): readonly Participant[] {
  if (members.length === 0 || members.length > MAX_PARTICIPANTS)
    throw new RangeError(`${what} must be 1 to ${MAX_PARTICIPANTS}, got ${members.length}`);
  if (new Set(members.map(({ publicKey }) => participantName(publicKey))).size !== members.length)
    throw new RangeError(`${what} must differ`);
  return [...members].sort((a, b) => compareBytes(a.publicKey, b.publicKey));
}
