/**
 * `latchkey/ring`: where records lie in a ring of attested nodes, and how the nodes keep them alike. docs/ring.md
 */
export { AccountId, BlockHash, RecordId } from '../bytes/fixed-bytes.ts';
export { AttestedPeer, attestPeer } from '../channel/attested-peer.ts';
export { acceptChannel, type OpeningChannel, type OwnEnd, openChannel } from '../channel/handshake.ts';
export { MAX_MESSAGES, type OpenedMessage, Session } from '../channel/session.ts';
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
export { type MemberState, placeMember, type RegisteredMember, type RingMember } from './placement/member.ts';
export { DEFAULT_REPLICAS, includesMember, Placement } from './placement/placement.ts';
export { compareDistance, distanceOf, POSITION_BYTES, ringPosition } from './placement/position.ts';
export { readQuorum, writeQuorum } from './placement/quorum.ts';
export { type RingView, RingViews } from './placement/views.ts';
