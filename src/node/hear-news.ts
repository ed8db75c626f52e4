import type { OpenNode } from '../boot/node/open-node.ts';
import { equalBytes } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { Memo } from '../bytes/memo.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import { networkOf, siteOf } from '../inbound/network-of.ts';
import { type ServerNews, signNotEnrolled } from '../protocol/not-enrolled.ts';
import { TokenBuckets } from '../time/token-buckets.ts';

/** The answer of a node to a server that reports a restart without keys, or a drain. */
export type NewsHeard =
  | { readonly enrolled: true }
  /** 64 bytes, by the account of this node: without it the network could end the server's wait for this client. */
  | { readonly enrolled: false; readonly signature: Uint8Array };

/** Signatures of news altogether: each costs 2 ms, and nothing authenticates the request. */
const SIGNING_RATE = { burst: 20, perSecond: 5 };
/** For one IPv4 address or IPv6 /64: a server asks once, and again after some seconds. */
const NETWORK_RATE = { burst: 5, perSecond: 0.5 };
/** For one IPv6 /48, which one subscriber may have. */
const SITE_RATE = { burst: 10, perSecond: 1 };
/** Networks that are remembered; an address that makes up more of them starts again with a full share. */
const MAX_NETWORKS = 20_000;
/** Signatures that are remembered; about 300 bytes each. */
const MAX_REMEMBERED = 1_000;

/** Accounts that the chain has shown. */
export interface FormerRecords {
  /** Whether the account has had a record since this process started. */
  hasBeenRegistered(account: AccountId): boolean;
}

/** Answers servers that report a restart without keys, or a drain. */
export class NewsAnswers {
  readonly #records: FormerRecords;
  readonly #now: () => number;
  readonly #signing = new TokenBuckets(SIGNING_RATE);
  readonly #networks = new TokenBuckets(NETWORK_RATE, MAX_NETWORKS);
  readonly #sites = new TokenBuckets(SITE_RATE, MAX_NETWORKS);
  readonly #signatures = new Memo<Uint8Array>(MAX_REMEMBERED);

  constructor(parts: { readonly records: FormerRecords; readonly now: () => number }) {
    this.#records = parts.records;
    this.#now = parts.now;
  }

  /**
   * Whether the server holds a slot of this node; if not, the node's signature under that statement.
   * @param address of the peer; `undefined` on a Unix socket.
   * @throws RefusalError SERVER_UNREGISTERED, RATE_LIMITED.
   */
  hear(
    { book, identity }: Pick<OpenNode, 'book' | 'identity'>,
    news: ServerNews,
    address: string | undefined,
  ): NewsHeard {
    if (book.slots().some(({ slot }) => equalBytes(slot.server, news.server))) return { enrolled: true };
    this.#requireRecord(news);
    const about = 'nonce' in news ? `nonce ${toHex(news.nonce)}` : `instance ${toHex(news.instanceId)}`;
    const signature = this.#signatures.get(`${toHex(news.server)} ${about}`, () => {
      this.#takeSigning(address ?? 'local');
      return signNotEnrolled(identity.accountSeed, { ...news, client: identity.account });
    });
    return { enrolled: false, signature };
  }

  /** The small shares come first: a peer that has used up its share takes nothing of what is for all. */
  #takeSigning(address: string): void {
    const nowMs = this.#now();
    const site = siteOf(address);
    const retryAfterMs =
      this.#networks.take(networkOf(address), nowMs) ||
      (site === undefined ? 0 : this.#sites.take(site, nowMs)) ||
      this.#signing.take('all', nowMs);
    if (retryAfterMs === 0) return;
    throw new RefusalError('RATE_LIMITED', 'too many servers ask for a signature', { retryAfterMs });
  }

  /** A drained server leaves the chain before it is stopped, so a former record counts too. */
  #requireRecord({ server }: ServerNews): void {
    if (this.#records.hasBeenRegistered(server)) return;
    throw new RefusalError('SERVER_UNREGISTERED', 'the server has no record on the chain', {
      field: 'server',
      expected: 'an account that has been registered on the chain since this node started',
      observed: toHex(server),
      hint: 'a new record is seen once its block is finalized; ask again then',
    });
  }
}
