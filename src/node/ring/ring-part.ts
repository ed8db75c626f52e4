import type { OpenNode } from '../../boot/node/open-node.ts';
import { toHex } from '../../bytes/hex.ts';
import { type ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { boundedFetch } from '../../outbound/bounded-fetch.ts';
import { boundedHttp } from '../../outbound/bounded-http.ts';
import { rememberSignatures } from '../../secrets/remember-signatures.ts';
import { secretFormatBy } from '../../secrets/secret-format.ts';
import type { OpenSecretService } from '../../secrets/service/open-service.ts';
import type { SecretService } from '../../secrets/service/secret-service.ts';
import { UserIndex } from '../../secrets/service/user-index.ts';
import { recordBounds } from '../../secrets/service/write-bounds.ts';
import { provenPlatform } from '../../trust/registered-platform.ts';
import type { GuardianRooms } from '../build-guardian.ts';
import type { ChainWatch } from '../chain-watch.ts';
import type { NodeParts } from '../parts.ts';
import type { Serving } from '../serving.ts';
import { RingMembership, type RingReport } from './ring-membership.ts';
import { type DeskConfig, openSecretDesk, settingsOf } from './secret-desk.ts';

/** What a membership needs of an open node. */
type Surroundings = Pick<GuardianRooms, 'vetter' | 'evidenceVerifier'> &
  Pick<Serving, 'attestation' | 'drain'> & {
    readonly node: OpenNode;
    readonly watch: ChainWatch;
    readonly isOlderDisk: boolean;
  };

const CLOSED = { standing: 'behind', members: 0, boundary: 0, records: 0, bytes: 0 } as const;

/** The membership of a node from its start to its end; nothing where its trust section has no ring. */
export class RingPart {
  readonly #config: DeskConfig;
  readonly #parts: NodeParts;
  #membership: RingMembership | undefined;
  #secrets: OpenSecretService | undefined;
  #isClosed = false;

  constructor(config: DeskConfig, parts: NodeParts) {
    this.#config = config;
    this.#parts = parts;
  }

  /** `undefined` while the store is closed, and where there is no ring. */
  get membership(): RingMembership | undefined {
    return this.#membership;
  }

  /**
   * The membership, for other members.
   * @param locked the reason while the store is closed.
   * @throws RefusalError RING_OFF; ProblemError NODE_LOCKED.
   */
  requireMembership(locked: () => ProblemError): RingMembership {
    if (this.#config.trust.ring === undefined) {
      throw new RefusalError('RING_OFF', 'this node takes part in no ring', {
        expected: 'trust.ring in its configuration',
      });
    }
    if (this.#membership === undefined) throw locked();
    return this.#membership;
  }

  /**
   * The routes for users of the ring.
   * @param locked as for {@link requireMembership}.
   * @throws RefusalError RING_OFF; ProblemError NODE_LOCKED.
   */
  requireSecrets(locked: () => ProblemError): SecretService {
    this.requireMembership(locked);
    if (this.#secrets === undefined) throw locked();
    return this.#secrets.service;
  }

  /** What status, `/readyz` and metrics say. */
  report(): RingReport | undefined {
    if (this.#config.trust.ring === undefined) return undefined;
    return this.#membership?.report() ?? { ...CLOSED, problem: 'the memory of the ring is not open' };
  }

  /**
   * Works for the ring until it is closed; the node holds its account by now.
   * @throws what the store throws; EvidenceError when its memory of the ring is damaged.
   */
  async run(surroundings: Surroundings): Promise<void> {
    const { trust, ring: bounds } = this.#config;
    if (trust.ring === undefined) return;
    const index = new UserIndex();
    const isSigned = rememberSignatures();
    const { verifier, fetch: fetchInstead } = this.#parts;
    const membership = await RingMembership.open({
      ...this.#parts,
      ...surroundings,
      exchange: fetchInstead === undefined ? boundedHttp() : (request) => boundedFetch(fetchInstead, request),
      constants: trust.ring,
      bounds,
      format: secretFormatBy(isSigned),
      wrapStore: (store) => index.around(store),
      isWithinBounds: recordBounds(index, settingsOf(this.#config)),
      provenPlatform: (record, atMs) => {
        const ppid = provenPlatform(record, verifier, atMs);
        return ppid === undefined ? undefined : toHex(ppid);
      },
    });
    this.#membership = membership;
    const around = { ...surroundings, membership, index, isSigned };
    this.#secrets = await openSecretDesk(this.#config, this.#parts, around);
    if (this.#isClosed) this.close();
    await membership.run();
  }

  /** Ends all work and erases the keys of all sessions. */
  close(): void {
    this.#isClosed = true;
    this.#secrets?.close();
    this.#membership?.close();
  }
}
