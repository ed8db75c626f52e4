import { equalBytes } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { requireInteger } from '../bytes/require-value.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { participantName } from './epoch-names.ts';
import type { Share } from './epoch-record.ts';

/** A member of a round. */
export interface Participant {
  /** 32 bytes: verifies its signatures, and names it. */
  readonly publicKey: Uint8Array;
  /** 32 bytes, X25519: private dealings to it are sealed to this. */
  readonly encryptionKey: Uint8Array;
}

/** Parameters of a round, on which all members agree before it begins. */
export interface Round {
  /** Keeps the signatures of different networks apart. */
  readonly network: string;
  readonly epoch: number;
  /** Counts successful rounds. */
  readonly round: number;
  readonly dealers: readonly Participant[];
  readonly players: readonly Participant[];
  /** Output of the last successful round, when its secret is reshared; absent when a new secret is made. */
  readonly previous?: Uint8Array;
}

const copyMember = ({ publicKey, encryptionKey }: Participant): Participant => ({
  publicKey: copyBytes(publicKey, 'publicKey of a member'),
  encryptionKey: copyBytes(encryptionKey, 'encryptionKey of a member'),
});

/**
 * A copy of a round that the caller cannot change any more.
 * @throws TypeError for bytes of another type, RangeError for numbers that are no integers from 0 to 2^53 - 1.
 */
export function copyRound(given: Round): Round {
  const { network, epoch, round, dealers, players, previous } = given;
  if (typeof network !== 'string') throw new TypeError(`network must be a string, got ${typeof network}`);
  requireInteger(epoch, 'epoch');
  requireInteger(round, 'round');
  return {
    network,
    epoch,
    round,
    dealers: dealers.map(copyMember),
    players: players.map(copyMember),
    ...(previous === undefined ? {} : { previous: copyBytes(previous, 'previous') }),
  };
}

/** Whether two rounds are equal in every field; the objects may differ. */
export const sameRound = (a: Round, b: Round): boolean =>
  a.network === b.network &&
  a.epoch === b.epoch &&
  a.round === b.round &&
  sameMembers(a.dealers, b.dealers) &&
  sameMembers(a.players, b.players) &&
  (a.previous === undefined || b.previous === undefined
    ? a.previous === b.previous
    : equalBytes(a.previous, b.previous));

const sameMembers = (a: readonly Participant[], b: readonly Participant[]): boolean =>
  a.length === b.length &&
  a.every((member, at) => {
    const other = b[at];
    return (
      other !== undefined &&
      equalBytes(member.publicKey, other.publicKey) &&
      equalBytes(member.encryptionKey, other.encryptionKey)
    );
  });

/** The name of the member that has this key; `undefined` for any other bytes. */
export function memberName(members: readonly Participant[], key: Uint8Array): string | undefined {
  return members.some(({ publicKey }) => equalBytes(publicKey, key)) ? participantName(key) : undefined;
}

/** The messages of a dealer to the players. */
export interface Deal {
  /** The same for all, and published in the log. */
  readonly publicMessage: Uint8Array;
  /** By the player's name (hex of its key), each sealed to that player. */
  readonly sealed: ReadonlyMap<string, Uint8Array>;
}

/** A dealer's log that was verified. */
export interface VerifiedLog {
  /** 32 bytes. */
  readonly dealer: Uint8Array;
  readonly publicMessage: Uint8Array;
  /** By player: it acknowledged, or its part of the dealing is in the open. */
  readonly results: ReadonlyMap<string, { readonly kind: 'ack' } | RevealedPart>;
}

/** A part that its player never acknowledged; the log therefore reveals it. */
export interface RevealedPart {
  readonly kind: 'reveal';
  readonly privateMessage: SecretBytes;
}

/** The result of the logs of a round. */
export interface Outcome {
  /** The public result: the same for all members that have the same logs. */
  readonly output: Uint8Array;
  /** The logs that count. */
  readonly selected: readonly VerifiedLog[];
}

/**
 * The cryptography of a distributed key generation in which dealers deal, players acknowledge and logs are ordered
 * by a chain. Journal, dealer and player know only this. Two promises matter to them: `deal` gives the same bytes for
 * the same seed, and `signAck` the same bytes for the same public message, before and after a crash.
 */
export interface DkgScheme {
  /** This node. */
  readonly self: Participant;
  /** Deals with a polynomial that follows from the seed; `share` when the round reshares a secret. */
  deal(round: Round, seed: SecretBytes, share?: Share): Deal;
  /** Whether the dealer itself signed this public message, and it fits the round. */
  checkPublic(round: Round, dealer: Uint8Array, publicMessage: Uint8Array): boolean;
  /** Opens our sealed part and checks it against the public message; `undefined` when it does not hold. */
  open(
    round: Round,
    dealer: Uint8Array,
    publicMessage: Uint8Array,
    sealed: Uint8Array,
  ): SecretBytes | undefined;
  signAck(round: Round, dealer: Uint8Array, publicMessage: Uint8Array): Uint8Array;
  checkAck(
    round: Round,
    dealer: Uint8Array,
    publicMessage: Uint8Array,
    player: Uint8Array,
    ack: Uint8Array,
  ): boolean;
  /** Our own log, signed; parts without ack are revealed. `undefined` when too many acks are missing. */
  makeLog(
    round: Round,
    seed: SecretBytes,
    share: Share | undefined,
    acks: ReadonlyMap<string, Uint8Array>,
  ): Uint8Array | undefined;
  /** Reads and checks a log; `undefined` when anything in it does not hold. */
  readLog(round: Round, dealer: Uint8Array, log: Uint8Array): VerifiedLog | undefined;
  /** Combines the logs of a round; `undefined` when there are too few. */
  combine(round: Round, logs: readonly VerifiedLog[]): Outcome | undefined;
  /** Our share of an outcome; `undefined` when a part that we acknowledged is missing. */
  share(round: Round, outcome: Outcome, privateMessages: ReadonlyMap<string, SecretBytes>): Share | undefined;
}
