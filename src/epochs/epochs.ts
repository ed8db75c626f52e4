/**
 * `latchkey/epochs`: the journal of a distributed key generation on a sealed store, its dealer and player, the
 * secrets of each epoch, and a scheme to use them with. docs/epochs.md
 */
export { SecretBytes } from '../bytes/secret-bytes.ts';
export { type ErrorCode, errorCodes } from '../errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
export { Dealer, type Membership, type Shipment } from './dealer.ts';
export type {
  Deal,
  DkgScheme,
  Outcome,
  Participant,
  RevealedPart,
  Round,
  VerifiedLog,
} from './dkg-scheme.ts';
export { type CurrentEpoch, EpochJournal, type EpochJournalOptions } from './epoch-journal.ts';
export type { ParticipantMessage } from './epoch-messages.ts';
export {
  decodeEpochState,
  type EpochState,
  encodeEpochState,
  type PublicEpochState,
  type Share,
} from './epoch-record.ts';
export { decodeEquivocation, type Equivocation, provesEquivocation } from './equivocation.ts';
export { FeldmanScheme } from './feldman/feldman-scheme.ts';
export type { Dealing } from './message-log.ts';
export type { MessageVerdict } from './message-verdict.ts';
export { type DealingAnswer, Player } from './player.ts';
export { type ConcludedRound, concludeRound, recordedLogs, recordLog } from './round-logs.ts';
export { SealedSecretStore } from './sealed-secret-store.ts';
export type { SecretStore } from './secret-store.ts';
export { stateDigest } from './state-digest.ts';
