import type { z } from 'zod';
import { toHex, toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { Log } from '../observe/log.ts';
import { attestationToWire } from '../protocol/attestation.ts';
import type { ChallengeIssuer } from '../protocol/challenge.ts';
import {
  type attestationAnswer,
  type challengeAnswer,
  decodeChallengeRequest,
  decodeKeyRequest,
  type keyAnswer,
} from '../protocol/decode.ts';
import { noExtensions } from '../protocol/extensions.ts';
import { decodeLineageStatus, decodeLineageUpdate } from '../protocol/lineage-messages.ts';
import type { BlockReference } from '../protocol/report-data.ts';
import {
  decodeClaim,
  decodeForget,
  decodeKeyStatus,
  decodeReserve,
  forgottenToWire,
  serverStateToWire,
} from '../protocol/slot-messages.ts';
import type { AdmissionQueue } from './admission-queue.ts';
import { type Grant, grantKey } from './grant.ts';
import { type BoundRequest, bindRequest } from './handshake.ts';
import type { Judge } from './judge.ts';
import { LineageRoutes } from './lineage-routes.ts';
import type { MacRouteParts, ProvedState } from './mac-route.ts';
import type { OwnAttestation } from './own-attestation.ts';
import { ReplayCache } from './replay-cache.ts';
import { type SealedKey, sealGrant } from './seal.ts';
import type { ServerIdentity } from './server-identity.ts';
import { SlotRoutes } from './slot-routes.ts';
import type { VaultView } from './vault.ts';
import type { EvidenceVerifier } from './verify.ts';

/** A key that leaves this server. */
export interface Release {
  readonly grant: Grant;
  readonly requestId: string;
}

/** The parts of a key server. */
export interface KeyServerParts extends MacRouteParts {
  readonly challenges: ChallengeIssuer;
  /** Before anything is verified. */
  readonly admission: AdmissionQueue;
  readonly evidenceVerifier: EvidenceVerifier;
  readonly judge: Judge;
  readonly attestation: OwnAttestation;
  readonly finalized: () => BlockReference;
  readonly log: Log;
  /** Called for every release, for metrics and the audit log. The key leaves when it resolves. */
  readonly onRelease: (release: Release) => Promise<void> | void;
  /** @param detail of the error; parts of it come from the requester. */
  readonly onRefusal: (code: string, requestId: string, detail: string) => void;
  /** Called for each SERVER_BUSY, thousands of times a second under overload. */
  readonly onBusy: (requestId: string) => void;
}

type StateAnswer = ReturnType<typeof serverStateToWire>;
const toWire = ({ state, mac }: ProvedState): StateAnswer => serverStateToWire(state, mac);

/** How long answers are remembered, and how many (about 1 KiB each). */
const REPLAY_TTL_MS = 60_000;
const MAX_REPLAYS = 10_000;

/** A key server: each method takes a parsed JSON body and gives the JSON of the answer, or throws a LatchkeyError. */
export class KeyServer {
  readonly #parts: KeyServerParts;
  readonly #slots: SlotRoutes;
  readonly #lineages: LineageRoutes;
  readonly #replays = new ReplayCache<SealedKey>({
    ttlMs: REPLAY_TTL_MS,
    maxAnswers: MAX_REPLAYS,
  });

  constructor(parts: KeyServerParts) {
    this.#parts = parts;
    this.#slots = new SlotRoutes(parts, parts.judge.platforms);
    this.#lineages = new LineageRoutes(parts);
  }

  get identity(): ServerIdentity {
    return this.#parts.identity;
  }

  /** The keys that are here, without their secrets. */
  get vault(): VaultView {
    return this.#parts.vault;
  }

  /** `POST /challenge`. */
  challenge(body: unknown): z.output<typeof challengeAnswer> {
    const { identity, challenges, now } = this.#parts;
    const { account, ephemeralPublicKey } = decodeChallengeRequest(body);
    const { nonce, expiresAtMs } = challenges.issue(account, ephemeralPublicKey, now());
    return {
      server: encodeSs58(identity.account),
      nonce: toPrefixedHex(nonce),
      expiresAtMs,
      instanceId: toPrefixedHex(identity.instanceId),
    };
  }

  /** `POST /request-encryption-key`: decode and handshake; a request that came before gets its former answer. */
  async requestKey(body: unknown, requestId: string): Promise<z.output<typeof keyAnswer>> {
    const { identity, challenges, now } = this.#parts;
    try {
      const bound = bindRequest(decodeKeyRequest(body), identity.account, challenges, now());
      const name = ReplayCache.nameOf(bound);
      const sealed = await this.#replays.share(name, now(), () => this.#release(bound, requestId));
      return sealed.toWire();
    } catch (error) {
      this.#refused(error, requestId);
      throw error;
    }
  }

  /**
   * After which time a request for a key should come again that would be refused now, in milliseconds, before its body is
   * read; it counts as refused. `undefined` lets it pass.
   * @param isLocked whether the caller says that it cannot open its store without the key.
   */
  refuseEarly(isLocked: boolean, requestId: string): number | undefined {
    const retryAfterMs = this.#parts.admission.retryAfterMs(isLocked);
    // No line in the log for each: there may be thousands a second.
    if (retryAfterMs !== undefined) this.#parts.onBusy(requestId);
    return retryAfterMs;
  }

  /** Wait for the turn, verify, judge, vault, record, seal. */
  async #release(bound: BoundRequest, requestId: string): Promise<SealedKey> {
    const { identity, admission, evidenceVerifier, judge, vault, finalized, now } = this.#parts;
    await admission.enter(bound.request.intent === 'recover');
    const verified = await evidenceVerifier.verifyRequest(bound);
    const judged = judge.judge(verified, vault);
    const grant = grantKey(judged, vault, now());
    await this.#recorded({ grant, requestId });
    // After the release was recorded, so that the client keeps a head that contains it.
    const extensions = this.#parts.extensionsFor?.(bound.request.account) ?? noExtensions;
    return sealGrant(grant, identity, { nowMs: now(), finalized: finalized(), extensions });
  }

  /** `POST /key-status`. */
  keyStatus(body: unknown): StateAnswer {
    return toWire(this.#slots.keyStatus(decodeKeyStatus(body)));
  }

  /** `POST /reserve`. */
  reserve(body: unknown): StateAnswer {
    return toWire(this.#slots.reserve(decodeReserve(body)));
  }

  /** `POST /claim`. */
  claim(body: unknown): StateAnswer {
    return toWire(this.#slots.claim(decodeClaim(body)));
  }

  /** `POST /forget`. */
  forget(body: unknown): ReturnType<typeof forgottenToWire> {
    const { forgotten, mac } = this.#slots.forget(decodeForget(body));
    return forgottenToWire(forgotten, mac);
  }

  /** `POST /lineage-status`. */
  lineageStatus(body: unknown): StateAnswer {
    return toWire(this.#lineages.status(decodeLineageStatus(body)));
  }

  /** `POST /lineage-update`. */
  lineageUpdate(body: unknown): StateAnswer {
    return toWire(this.#lineages.update(decodeLineageUpdate(body)));
  }

  /** `GET /attestation`. */
  async attestation(): Promise<z.output<typeof attestationAnswer>> {
    return attestationToWire(await this.#parts.attestation.get(this.#parts.now()));
  }

  /** Erases all keys and challenges, at shutdown. */
  wipe(): void {
    this.#replays.clear();
    this.#parts.vault.wipe();
    this.#parts.challenges.wipe();
  }

  /** A key that was made for this request alone and does not leave is nobody's: the request may come again. */
  async #recorded(release: Release): Promise<void> {
    const { key } = release.grant;
    try {
      await this.#released(release);
    } catch (error) {
      if (!key.wasUsed) this.#parts.vault.forget(key.account, key.slotId);
      throw error;
    }
  }

  async #released({ grant, requestId }: Release): Promise<void> {
    const { log, onRelease } = this.#parts;
    const { bound, created, key } = grant;
    const { account, keyId } = key;
    const { intent } = bound.request;
    await onRelease({ grant, requestId });
    log('info', 'key.released', {
      requestId,
      account: encodeSs58(account),
      intent,
      created,
      keyId: toHex(keyId),
    });
  }

  #refused(error: unknown, requestId: string): void {
    const code = error instanceof LatchkeyError ? error.code : 'INTERNAL';
    if (code === 'SERVER_BUSY') {
      this.#parts.onBusy(requestId);
      return;
    }
    const detail = error instanceof LatchkeyError ? error.message : undefined;
    this.#parts.onRefusal(code, requestId, detail ?? 'an unexpected failure');
    this.#parts.log('warn', 'key.refused', { requestId, code, detail });
  }
}
