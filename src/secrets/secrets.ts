/**
 * `latchkey/secrets`: records of users' secrets, who may use them for what, signed requests, and a client. docs/secrets.md
 */
export { AccountId, RecordId } from '../bytes/fixed-bytes.ts';
export { SecretBytes } from '../bytes/secret-bytes.ts';
export { type ErrorCode, errorCodes } from '../errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
export { type Acl, decodeAcl, encodeAcl, MAX_ACL_BYTES, matchesPath, type Verb, verbs } from './acl.ts';
export { NodeExchange, NodeRefusal, type SecretNode, type SecretOwner } from './client/node-exchange.ts';
export {
  type ListedSecret,
  type NewSecret,
  type NodeDirectory,
  SecretClient,
  type SecretRequest,
} from './client/secret-client.ts';
export { judgeUse, type SecretUse, type UsageCount, type UseTime } from './judge-use.ts';
export { defaultQuota, type Holdings, judgeQuota, judgeReplacement } from './judge-write.ts';
export {
  compareRecords,
  decodeRecord,
  MAX_RECORD_BYTES,
  type SecretContent,
  SecretRecord,
  signRecord,
} from './record.ts';
export { type HeaderList, PLACEHOLDER, type WantedRequest } from './relay/outgoing-request.ts';
export type { UpstreamAnswer } from './relay/upstream.ts';
export {
  isNormalScope,
  isWithin,
  MAX_URL_CHARACTERS,
  parseScope,
  parseTarget,
  type SecretScope,
  secretId,
  type Target,
} from './scope.ts';
export {
  openRequest,
  type SealedRequest,
  type SignedMessage,
  sealAnswer,
  sealRequest,
} from './sealed-messages.ts';
export { secretFormat } from './secret-format.ts';
export {
  judgeRequest,
  REQUEST_RANDOM_BYTES,
  REQUEST_WINDOW_MS,
  type RequestCheck,
  type RequestStatement,
  type SecretRoute,
  signRequest,
} from './signed-request.ts';
export { decodeUse, encodeUse, IDEMPOTENCY_KEY_BYTES, type UseRequest } from './use-request.ts';
export {
  decodeEntry,
  encodeEntry,
  hashValue,
  MAX_ENTRY_BYTES,
  MAX_VALUE_BYTES,
  revealValue,
  SALT_BYTES,
  type SecretEntry,
  saltValue,
  secretEntry,
} from './value.ts';
