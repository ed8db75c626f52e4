/**
 * `latchkey/ring`: where records lie in a ring of attested nodes, and how the nodes keep them alike. docs/ring.md
 */
export { AccountId, BlockHash, RecordId } from '../bytes/fixed-bytes.ts';
export { AttestedPeer, attestPeer } from '../channel/attested-peer.ts';
export { acceptChannel, type OpeningChannel, type OwnEnd, openChannel } from '../channel/handshake.ts';
export { MAX_MESSAGES, type OpenedMessage, Session } from '../channel/session.ts';
export { type ErrorCode, errorCodes } from '../errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
export {
  type Configuration,
  changing,
  isComplete,
  isRead,
  isSettled,
  isWritten,
  type ReplicaSet,
  sameConfiguration,
} from './placement/configuration.ts';
export { placeMember, type RegisteredMember, type RingMember } from './placement/member.ts';
export { DEFAULT_REPLICAS, Placement } from './placement/placement.ts';
export { compareDistance, distanceOf, POSITION_BYTES, ringPosition } from './placement/position.ts';
export { readQuorum, writeQuorum } from './placement/quorum.ts';
export { type RingView, RingViews } from './placement/views.ts';
export type { Written } from './replication/coordinator.ts';
export {
  emptyLedger,
  type Ledger,
  MARK_LIFE_MS,
  type MarkStore,
  type RecordBounds,
  type RecordFormat,
  type ReplicaStore,
  type RingEntry,
} from './replication/entry.ts';
export { TOO_OLD_MS } from './replication/holdings.ts';
export type {
  FromNode,
  Listed,
  NodeStatus,
  RingReply,
  RingRequest,
  RingTransport,
} from './replication/messages.ts';
export { RingNode, type RingNodeParts } from './replication/ring-node.ts';
export { StoredMarks } from './replication/stored-marks.ts';
export { decodeReply, decodeRequest, encodeMessage, MAX_MESSAGE_BYTES } from './replication/wire.ts';
