import { utf8 } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import { type Clock, monotonicMsOf, systemClock } from '../../time/clock.ts';
import type { WriteOrder } from '../decryption-table.ts';
import { type EtcdClient, etcdText } from './etcd-client.ts';

/** Longer than twice the window of signed writes plus the time for which a lease is used for new entries. */
const LEASE_SECONDS = 300;
const LEASE_USED_MS = 60_000;

/**
 * Newest time of signed writes by account and path, for all instances: a write that was recorded at one instance is
 * refused at every other one. Each entry ends with a lease, long after the write would be too old anyway.
 */
export class EtcdWriteOrder implements WriteOrder {
  readonly #client: EtcdClient;
  readonly #prefix: string;
  readonly #clock: Clock;
  #lease: { readonly id: Promise<string>; readonly untilMs: number } | undefined;

  constructor(client: EtcdClient, prefix: string, clock: Clock = systemClock) {
    this.#client = client;
    this.#prefix = prefix;
    this.#clock = clock;
  }

  /** @throws as `EtcdClient.txn`; then the write has to be signed again. */
  async advance(name: string, timestampMs: number): Promise<boolean> {
    const key = etcdText(this.#prefix + toHex(sha256(utf8(name))));
    // Sixteen digits, so that texts are ordered as numbers.
    const value = etcdText(String(timestampMs).padStart(16, '0'));
    const isAbsent = { target: 'CREATE', result: 'EQUAL', key, create_revision: '0' };
    const isOlder = { target: 'VALUE', result: 'LESS', key, value };
    return (await this.#put(isAbsent, key, value)) || (await this.#put(isOlder, key, value));
  }

  async #put(condition: object, key: string, value: string): Promise<boolean> {
    for (let attempt = 0; ; attempt += 1) {
      const lease = await this.#leaseId();
      try {
        const put = { request_put: { key, value, lease } };
        return (await this.#client.txn({ compare: [condition], success: [put] })).succeeded;
      } catch (error) {
        if (!isLeaseGone(error)) throw error;
        this.#lease = undefined;
        if (attempt > 0) throw error;
      }
    }
  }

  #leaseId(): Promise<string> {
    // The host could hold the other clock back, so that entries end with a lease that is too old.
    const nowMs = monotonicMsOf(this.#clock);
    if (this.#lease === undefined || this.#lease.untilMs < nowMs) {
      const lease = { id: this.#client.grantLease(LEASE_SECONDS), untilMs: nowMs + LEASE_USED_MS };
      this.#lease = lease;
      lease.id.catch(() => {
        if (this.#lease === lease) this.#lease = undefined;
      });
    }
    return this.#lease.id;
  }
}

/** Somebody revoked it. Another refusal is no reason for a new lease: each would stay in etcd for minutes. */
const isLeaseGone = (error: unknown): boolean =>
  error instanceof LatchkeyError && error.message.includes('lease not found');
