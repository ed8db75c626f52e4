/**
 * The client of the key protocol alone: the face of `latchkey/client`. `docs/protocol.md` says what each call means;
 * `latchkey/tdx` has the verifier of quotes that {@link KeyClient.attest} takes.
 */

export type { RoundResult, RoundTarget } from '../boot/obtain/key-round.ts';
export type { PeerRecord } from '../boot/peer/held-keys.ts';
export { describeFailure, failureOf, PeerError, type PeerFailure } from '../boot/peer/peer-failure.ts';
export { AccountId, BlockHash, ReportData, SlotId, X25519PublicKey } from '../bytes/fixed-bytes.ts';
export { SecretBytes } from '../bytes/secret-bytes.ts';
export type { Incarnation, Reservation } from '../lineage/incarnation.ts';
export { Lineage } from '../lineage/lineage.ts';
export type { Intent } from '../protocol/report-data.ts';
export { ConfigfsQuoteSource } from '../quote-source/configfs-quote-source.ts';
export { HttpQuoteSource } from '../quote-source/http-quote-source.ts';
export type { QuoteSource } from '../quote-source/quote-source.ts';
export { type AttestationRules, KeyClient, type KeyClientOptions, type OwnSlot } from './key-client.ts';
