import type { OpenNode } from '../../boot/node/open-node.ts';
import { AccountId } from '../../bytes/fixed-bytes.ts';
import type { Config } from '../../config/schema.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { resolveByNameServers } from '../../secrets/relay/name-servers.ts';
import { ownAddresses } from '../../secrets/relay/own-addresses.ts';
import type { SignatureCheck } from '../../secrets/remember-signatures.ts';
import {
  type OpenSecretService,
  openSecretService,
  type SecretSettings,
} from '../../secrets/service/open-service.ts';
import type { UserIndex } from '../../secrets/service/user-index.ts';
import type { ChainWatch } from '../chain-watch.ts';
import type { NodeParts } from '../parts.ts';
import type { RingMembership } from './ring-membership.ts';

/** The sections that the ring and its users' routes read. */
export type DeskConfig = Pick<Config, 'trust' | 'ring' | 'secrets' | 'limits'>;

/** Opens the routes of users' secrets of a node that takes part in the ring. */
export function openSecretDesk(
  config: DeskConfig,
  { random, clock, log, metrics, resolve = resolveByNameServers() }: NodeParts,
  around: {
    readonly node: OpenNode;
    readonly membership: RingMembership;
    readonly index: UserIndex;
    readonly isSigned: SignatureCheck;
    readonly watch: ChainWatch;
  },
): Promise<OpenSecretService> {
  const { node, membership, index, watch, isSigned } = around;
  return openSecretService({
    store: node.store,
    identity: node.identity,
    ring: () => membership.node ?? notReady(),
    index,
    isSigned,
    settings: settingsOf(config),
    fleet: () => watch.endpoints(),
    ownAddresses,
    resolve,
    random,
    blockMs: () => watch.time().chainMs,
    // A host that sets its clock back must not bring an expired secret back: the time of the chain is proven.
    now: () => Math.max(clock.nowMs(), watch.time().chainMs),
    sleep: (milliseconds) => clock.sleep(milliseconds),
    requireRoom: (id, bytes) => membership.requireRoom(id, bytes),
    log,
    onAnswer: (route, code) => metrics.secretRequests.inc({ route, code }),
  });
}

/** What an operator sets for users. */
export function settingsOf({ secrets, limits, trust }: DeskConfig): SecretSettings {
  const { allowAddresses, ...bounds } = secrets.relay;
  return {
    users:
      secrets.users === 'all' ? 'all' : secrets.users.map((user) => AccountId.parse(user, 'secrets.users')),
    perUser: { records: secrets.maxRecordsPerUser, bytes: secrets.maxBytesPerUser },
    maxRecords: secrets.maxRecords,
    rate: secrets.perUser,
    relay: {
      // A request that takes longer gets no answer.
      bounds: { ...bounds, totalMs: Math.min(bounds.totalMs, limits.requestDeadlineMs) },
      allowAddresses,
      authorities: trust.relay?.authorities ?? [],
    },
  };
}

function notReady(): never {
  throw new ProblemError('RING_NOT_READY', 'this node is no member of the ring yet', { retryAfterMs: 1000 });
}
