/**
 * `latchkey/decryptions`: decryption results by ciphertext handle, where a GET waits for the PUT, as a class, as an
 * HTTP application and as a listener. docs/decryptions.md
 */
export { AccountId } from '../bytes/fixed-bytes.ts';
export { SecretBytes } from '../bytes/secret-bytes.ts';
export { type ErrorCode, errorCodes } from '../errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
export type { ClientSignal } from './client-signal.ts';
export type { Decryption, StoredDecryption } from './decryption.ts';
export {
  DecryptionService,
  type DecryptionServiceOptions,
  type LookupOptions,
  type PruneRule,
  tryParseKey,
} from './decryption-service.ts';
export type { DecryptionTable, EngineHealth, OracleSignature } from './decryption-table.ts';
export { type DecryptionsAppOptions, decryptionsApp } from './decryptions-app.ts';
export {
  type DecryptionsConfig,
  type DecryptionsProfile,
  decryptionsProfiles,
  type EtcdSettings,
  ignoredVariables,
  loadDecryptionsConfig,
  loadRocketConfig,
  type RocketConfig,
} from './decryptions-config.ts';
export type { EtcdOptions } from './etcd/etcd-client.ts';
export type { EtcdTls } from './etcd/etcd-http.ts';
export { EtcdTable, type EtcdTableOptions } from './etcd/etcd-table.ts';
export type { DecryptionMetrics, LookupOutcome, WriteOutcome } from './metrics.ts';
export { pruneRegularly, type RegularPruning } from './prune-regularly.ts';
export { type Scheduler, systemScheduler } from './scheduler.ts';
export { type AppAddress, type ServedApp, serveApp } from './serve-app.ts';
export { SIGNED_WRITE_WINDOW_MS, signedWriteBytes, type WriteAuthorization } from './write-authorization.ts';
