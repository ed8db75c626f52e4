/**
 * The face of `latchkey/client`. The client of the key protocol alone: `docs/protocol.md` says what each call means,
 * `latchkey/tdx` has the verifier of quotes that {@link KeyClient.attest} takes. And {@link AgentClient}, for a program
 * on the machine of `latchkey serve`: `docs/operations.md`.
 */

export type { RoundResult, RoundTarget } from '../boot/obtain/key-round.ts';
export type { PeerRecord } from '../boot/peer/held-keys.ts';
export { describeFailure, failureOf, PeerError, type PeerFailure } from '../boot/peer/peer-failure.ts';
export { AccountId, BlockHash, ReportData, SlotId, X25519PublicKey } from '../bytes/fixed-bytes.ts';
export { SecretBytes } from '../bytes/secret-bytes.ts';
export { type ErrorCode, errorCodes } from '../errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
export type { Incarnation, Reservation } from '../lineage/incarnation.ts';
export { Lineage } from '../lineage/lineage.ts';
export type { Intent } from '../protocol/report-data.ts';
export { ConfigfsQuoteSource } from '../quote-source/configfs-quote-source.ts';
export { HttpQuoteSource } from '../quote-source/http-quote-source.ts';
export type { QuoteSource } from '../quote-source/quote-source.ts';
export type { DecryptionInputs } from '../rituals/decryption-inputs.ts';
export type { Ritual } from '../rituals/ritual.ts';
export type { ActiveRitual, Validator } from '../rituals/ritual-cache.ts';
export { AgentClient } from './agent-client.ts';
export { type AttestationRules, KeyClient, type KeyClientOptions, type OwnSlot } from './key-client.ts';
