import type { AccountId } from '../../bytes/fixed-bytes.ts';
import type { RandomSource } from '../../crypto/random.ts';
import type { X25519KeyPair } from '../../crypto/x25519.ts';
import type { Log } from '../../observe/log.ts';
import type { Store } from '../../store/api/store-api.ts';
import { type Rate, TokenBuckets } from '../../time/token-buckets.ts';
import type { Resolve } from '../relay/name-servers.ts';
import { Relay, type RelayParts } from '../relay/relay.ts';
import type { SignatureCheck } from '../remember-signatures.ts';
import type { SecretRoute } from '../signed-request.ts';
import { ReplayMemory } from './replay-memory.ts';
import type { SecretRing } from './secret-ring.ts';
import { SecretService } from './secret-service.ts';
import { SecretUser } from './secret-user.ts';
import { SecretWriter } from './secret-writer.ts';
import { UsageCounts } from './usage-counts.ts';
import type { UserIndex } from './user-index.ts';
import type { WriteBounds } from './write-bounds.ts';

/** What an operator sets. */
export interface SecretSettings extends WriteBounds {
  /** Of one account, for all routes together. */
  readonly rate: Rate;
  readonly relay: Pick<RelayParts, 'bounds' | 'allowAddresses' | 'authorities'>;
}

/** A service that runs, and what ends it. */
export interface OpenSecretService {
  readonly service: SecretService;
  /** Ends the requests to upstream services that are under way. */
  close(): void;
}

/** Opens the routes of users' secrets of a node: what they remember lies in the node's own store. */
export async function openSecretService(parts: {
  readonly store: Store;
  readonly identity: { readonly account: AccountId; readonly x25519: X25519KeyPair };
  /** @throws ProblemError while this node has no place in the ring. */
  readonly ring: () => SecretRing;
  /** Around the store of the ring's records. */
  readonly index: UserIndex;
  readonly settings: SecretSettings;
  /** Of records; the same as the ring's, so that each is verified once. */
  readonly isSigned: SignatureCheck;
  /** `host:port` of all nodes of the fleet. */
  readonly fleet: () => readonly string[];
  /** All addresses of this machine. */
  readonly ownAddresses: () => readonly string[];
  readonly resolve: Resolve;
  readonly random: RandomSource;
  readonly now: () => number;
  /** Time of the newest block, in milliseconds: by it the periods of limits count. */
  readonly blockMs: () => number;
  /** Resolves after this many milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** As {@link SecretWriter} asks it. */
  readonly requireRoom: (id: string, bytes: number) => Promise<void>;
  readonly log: Log;
  readonly onAnswer: (route: SecretRoute, code: string) => void;
}): Promise<OpenSecretService> {
  const { store, identity, ring, index, settings, fleet, resolve, random, now, blockMs, sleep } = parts;
  const { account } = identity;
  const seen = await ReplayMemory.open(await store.namespace('latchkey/secrets-seen'));
  const namespace = await store.namespace('latchkey/secrets-counts');
  const counts = new UsageCounts(namespace, (id) => index.has(id));
  const relay = new Relay({ ...settings.relay, fleet, ownAddresses: parts.ownAddresses, resolve, now });
  const { requireRoom, isSigned } = parts;
  const shared = { account, ring, isSigned, now };
  const writer = new SecretWriter({ ...shared, index, bounds: settings, requireRoom });
  const user = new SecretUser({ ...shared, counts, relay, random, sleep, blockMs });
  const rate = new TokenBuckets(settings.rate);
  return {
    service: new SecretService({ ...parts, seen, writer, user, rate }),
    close: () => relay.close(),
  };
}
