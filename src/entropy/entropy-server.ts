import { z } from 'zod';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ServerRecord } from '../chain/chain-view.ts';
import type { RandomSource } from '../crypto/random.ts';
import { LatchkeyError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import type { ChainRecords } from '../keyserver/account-registry.ts';
import type { AdmissionQueue } from '../keyserver/admission-queue.ts';
import type { Judge } from '../keyserver/judge.ts';
import type { ServerIdentity } from '../keyserver/server-identity.ts';
import type { EvidenceVerifier } from '../keyserver/verify.ts';
import type { Log } from '../observe/log.ts';
import type { QuoteSource } from '../quote-source/quote-source.ts';
import type { Store } from '../store/api/store-api.ts';
import type { QuoteVerifier } from '../tdx/verify-quote.ts';
import { provenPlatform } from '../trust/registered-platform.ts';
import { type BackupLimits, BackupTable } from './backup-table.ts';
import { EnvelopeSealer, type envelopeWire, openEnvelope, requireSignature } from './envelope.ts';
import { type infoAnswer, OwnQuotes } from './own-quotes.ts';
import { QuoteNonces } from './quote-nonces.ts';
import { bindRecovery, decodeRecoverRequest, decodeResponseKey } from './recover-request.ts';

/** How often departed accounts are looked for, at most. */
const SWEEP_INTERVAL_MS = 3_600_000;

/** Answer of `GET /v1/version`. */
export const versionAnswer = z.strictObject({
  cargo_package_version: z.string(),
  git_tag_commit: z.string(),
  build: z.union([
    z.literal('NonProduction'),
    z.strictObject({ ProductionWithMeasurementValue: z.string() }),
  ]),
});

/** The parts that the routes of entropy-tss use: those of the key server, and the store. */
export interface EntropyParts {
  readonly identity: ServerIdentity & { readonly accountSeed: SecretBytes };
  readonly store: Store;
  readonly chain: ChainRecords;
  readonly verifier: QuoteVerifier;
  /** Before anything is verified. */
  readonly admission: AdmissionQueue;
  readonly evidenceVerifier: EvidenceVerifier;
  readonly judge: Judge;
  readonly quotes: QuoteSource;
  readonly random: RandomSource;
  readonly now: () => number;
  readonly limits: BackupLimits;
  readonly isDraining: () => boolean;
  /** Whether another instance of this node has taken over: it has the same backups. */
  readonly isFenced: () => boolean;
  /** Version of this program. */
  readonly version: string;
  readonly log: Log;
  /** Called for every backup that is given back, for metrics and the audit log. The key leaves when it resolves. */
  readonly onRelease: (release: BackupRelease) => Promise<void>;
  readonly onRefusal: (code: string, requestId: string, detail: string) => void;
}

/** A backup on its way back. */
export interface BackupRelease {
  readonly account: AccountId;
  /** PPID that the quote of the request proves, 16 bytes. */
  readonly ppid: Uint8Array;
  readonly requestId: string;
}

type Envelope = z.output<typeof envelopeWire>;

/**
 * The routes by which nodes of entropy-tss back up and recover the key of their disk; each takes a parsed JSON body, and
 * gives the JSON of the answer or throws a LatchkeyError.
 */
export class EntropyServer {
  readonly #parts: EntropyParts;
  readonly #nonces: QuoteNonces;
  readonly #sealer: EnvelopeSealer;
  readonly #backups: BackupTable;
  readonly #ownQuotes: OwnQuotes;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  #conflicts = 0;

  constructor(parts: EntropyParts) {
    this.#parts = parts;
    this.#nonces = new QuoteNonces(parts.identity.accountSeed);
    this.#sealer = new EnvelopeSealer(parts.random);
    this.#backups = new BackupTable(parts.store, parts.limits);
    this.#ownQuotes = new OwnQuotes(parts.identity, parts.quotes);
  }

  /** `POST /v1/backup_encryption_key`: returns when the key is durable. */
  backup(body: unknown, requestId: string): Promise<void> {
    return this.#reporting(requestId, async () => {
      const { identity, now, log } = this.#parts;
      const signed = openEnvelope(body, identity.x25519);
      try {
        const record = this.#requireRecord(signed.sender, 'BACKUP_UNREGISTERED');
        // Before the certificates of the record, which cost more: anybody can name a sender.
        requireSignature(signed);
        const platform = this.#platformOf(record);
        this.#requireNotDraining();
        await this.#sweep();
        const { secret: key, sender: account } = signed;
        const created = await this.#backups.keep({ account, key, platform, arrivedAtMs: now() });
        log('info', 'entropy.backed-up', { requestId, account: encodeSs58(account), created });
      } finally {
        signed.secret.wipe();
      }
    });
  }

  /** `POST /v1/backup_provider_quote_nonce`: 32 bytes, sealed to the response key that the body is. */
  quoteNonce(body: unknown): Envelope {
    const responseKey = decodeResponseKey(body);
    return this.#sealer.seal(this.#nonces.issue(responseKey, this.#parts.now()), responseKey);
  }

  /** `POST /v1/recover_encryption_key`: decode, bind, wait for the turn, verify, judge, look up, seal. */
  recover(body: unknown, requestId: string): Promise<Envelope> {
    return this.#reporting(requestId, async () => {
      const { admission, evidenceVerifier, judge, now, log, onRelease } = this.#parts;
      const bound = bindRecovery(decodeRecoverRequest(body), this.#nonces, now());
      await admission.enter(true);
      const verified = await evidenceVerifier.verify(bound.quote);
      const judged = judge.judgeReturn(verified, bound.account);
      this.#nonces.bind(bound.nonce, bound.account, now());
      this.#requireRecord(bound.account, 'ACCOUNT_DEREGISTERED');
      this.#requireNotFenced();
      const key = await this.#backups.release(judged);
      try {
        const sealed = this.#sealer.seal(key.reveal(), bound.responseKey);
        await onRelease({ account: bound.account, ppid: judged.ppid, requestId });
        log('info', 'entropy.recovered', { requestId, account: encodeSs58(bound.account) });
        return sealed;
      } finally {
        key.wipe();
      }
    });
  }

  /** `GET /v1/info`. @throws what the quote source throws; RefusalError RATE_LIMITED. */
  async info(): Promise<z.output<typeof infoAnswer>> {
    const { identity, now } = this.#parts;
    return {
      account_id: encodeSs58(identity.account),
      x25519_public_key: [...identity.x25519PublicKey],
      tdx_quote: toHex(await this.#ownQuotes.plain(now())),
      ready: true,
    };
  }

  /** `GET /v1/attest`: the bytes of a quote. @throws as {@link OwnQuotes.forRegistration}. */
  async attest(query: Readonly<Record<string, string | undefined>>): Promise<Uint8Array> {
    return this.#ownQuotes.forRegistration(query, this.#parts.now());
  }

  /** `GET /v1/version`. */
  version(): z.output<typeof versionAnswer> {
    const { version, verifier, judge } = this.#parts;
    const measurement = toHex(judge.ownMeasurement);
    return {
      cargo_package_version: version,
      git_tag_commit: `latchkey-${version}`,
      build: verifier.trustRoot.isIntel ? { ProductionWithMeasurementValue: measurement } : 'NonProduction',
    };
  }

  /** For `latchkey status`: keys held, and backups of other keys that were refused since this start. */
  async status(): Promise<{ readonly backups: number; readonly conflicts: number }> {
    return { backups: await this.#backups.size(), conflicts: this.#conflicts };
  }

  /** Erases secrets, at shutdown. */
  wipe(): void {
    this.#nonces.wipe();
    this.#sealer.wipe();
  }

  /** The platform that the chain registers for an account, PPID of 16 bytes. */
  #platformOf(record: ServerRecord): Uint8Array {
    const { verifier, now } = this.#parts;
    const platform = provenPlatform(record, verifier, now());
    if (platform !== undefined) return platform;
    throw new RefusalError(
      'BACKUP_PLATFORM_UNKNOWN',
      'the registered quote of the sender proves no platform',
      {
        field: 'sender',
        expected: 'a record on the chain whose quote binds account and X25519 key',
        hint: 'register the account with a quote of its own machine',
      },
    );
  }

  #requireRecord(account: AccountId, code: 'BACKUP_UNREGISTERED' | 'ACCOUNT_DEREGISTERED'): ServerRecord {
    const record = this.#parts.chain.recordOf(account);
    if (record === 'unknown') {
      throw new ProblemError('CHAIN_UNAVAILABLE', 'this server has no fresh view of the chain', {
        retryAfterMs: 5_000,
      });
    }
    if (record !== undefined) return record;
    throw new RefusalError(code, `${encodeSs58(account)} has no record on the chain`, {
      expected: 'a threshold server that is registered in the staking pallet',
      hint: 'register the account; the server reads finalized blocks',
    });
  }

  /**
   * A host can run a copy of this node for as long as it likes. Its audit log takes no entries any more, and a release
   * would leave no trace.
   */
  #requireNotFenced(): void {
    if (!this.#parts.isFenced()) return;
    throw new ProblemError('NODE_FENCED', 'this instance gives no backups: another one has its account', {
      hint: 'ask the instance that runs now',
      retryAfterMs: 60_000,
    });
  }

  #requireNotDraining(): void {
    if (!this.#parts.isDraining()) return;
    throw new ProblemError('SERVER_DRAINING', 'this server is about to be stopped and takes no backups', {
      hint: 'ask another server',
      retryAfterMs: 60_000,
    });
  }

  async #sweep(): Promise<void> {
    const { chain, now, log } = this.#parts;
    if (now() - this.#sweptAtMs < SWEEP_INTERVAL_MS) return;
    this.#sweptAtMs = now();
    // Without a fresh view of the chain no account counts as departed.
    const hasRecord = (account: AccountId): boolean => chain.recordOf(account) !== undefined;
    for (const account of await this.#backups.forgetDeparted(hasRecord, now())) {
      log('warn', 'entropy.forgotten', { account: encodeSs58(account) });
    }
  }

  async #reporting<T>(requestId: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const code = error instanceof LatchkeyError ? error.code : 'INTERNAL';
      if (code === 'BACKUP_CONFLICT') this.#conflicts++;
      const detail = error instanceof LatchkeyError ? error.message : undefined;
      this.#parts.onRefusal(code, requestId, detail ?? 'an unexpected failure');
      this.#parts.log('warn', 'entropy.refused', { requestId, code, detail });
      throw error;
    }
  }
}
