import { type AuditHead, decodeHead } from '../audit/audit-chain.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex, tryFromHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { Log } from '../observe/log.ts';
import type { Extensions } from '../protocol/extensions.ts';
import type { Store } from '../store/api/store-api.ts';
import type { Clock } from '../time/clock.ts';
import { contradicted, decodeSeen, encodeSeen, type SeenHeads, withHead } from './seen-heads.ts';

const NAMESPACE = 'latchkey/audit-heads';
/**
 * How often the heads are written, at most: a server's head changes with each key that it gives. What a host wants to have
 * forgotten, it must undo within this time.
 */
const SAVE_EVERY_MS = 60_000;
/** Most servers of which heads are kept. */
const MAX_SERVERS = 1_024;

/** A head for JSON. */
export interface WitnessedHead {
  /** SS58 with prefix 42. */
  readonly server: string;
  readonly sequence: number;
  /** `0x` hex of 32 bytes. */
  readonly hash: string;
  readonly seenAtMs: number;
}

/**
 * Keeps heads of the audit log of each server that answered under a key of this node, of now and of before. A server
 * that writes its log again cannot take back what its clients have seen.
 */
export class AuditWitness {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #heads = new Map<string, SeenHeads>();
  readonly #unsaved = new Set<string>();

  constructor(parts: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /**
   * Takes the extensions of a proved answer. Answers may overtake each other, so an older head proves nothing; another
   * head of the same number does, and is logged.
   */
  hear(server: AccountId, extensions: Extensions): void {
    const bytes = extensions.get('auditHead');
    if (bytes === undefined) return;
    const head = this.#read(server, bytes);
    const name = toHex(server);
    if (head === undefined) return;
    const known = this.#heads.get(name);
    if (known === undefined && this.#heads.size >= MAX_SERVERS) return;
    if (this.#isOther(server, known ?? [], head)) return;
    const now = withHead(known ?? [], { head, atMs: this.#clock.nowMs() });
    if (now === known) return;
    this.#heads.set(name, now);
    this.#unsaved.add(name);
  }

  /** Whether another head of this number was seen before. */
  #isOther(server: AccountId, kept: SeenHeads, now: AuditHead): boolean {
    const seen = contradicted(kept, now);
    if (seen === undefined) return false;
    this.#log('warn', 'audit.head-changed', {
      server: encodeSs58(server),
      sequence: now.sequence,
      seen: toPrefixedHex(seen.hash),
      now: toPrefixedHex(now.hash),
    });
    return true;
  }

  /** A server with a head that cannot be read keeps its slots: the answer itself was proved. */
  #read(server: AccountId, bytes: Uint8Array): AuditHead | undefined {
    try {
      return decodeHead(bytes);
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      this.#log('warn', 'audit.head-not-read', { server: encodeSs58(server), detail: error.message });
      return undefined;
    }
  }

  /** The heads of each server, by account and number. */
  heads(): readonly WitnessedHead[] {
    return [...this.#heads].sort().flatMap(([name, kept]) => {
      const account = tryFromHex(name);
      if (account === undefined) return [];
      const server = encodeSs58(AccountId.of(account));
      return kept.map(({ head: { sequence, hash }, atMs }) => ({
        server,
        sequence,
        hash: toPrefixedHex(hash),
        seenAtMs: atMs,
      }));
    });
  }

  /** Reads what the store remembers, and keeps it up to date. Resolves when the signal aborts. */
  async run(store: Store, signal: AbortSignal): Promise<void> {
    let isLoaded = false;
    // What was heard before the store was open is kept at once.
    for (;;) {
      // A host may fail one read of its disk: what it wants to have forgotten is not written over.
      isLoaded ||= await this.#load(store);
      if (isLoaded) {
        await this.#save(store).catch((error: unknown) => {
          this.#log('warn', 'audit.heads-not-kept', { error: String(error) });
        });
      }
      if (signal.aborted) return;
      await this.#clock.sleep(SAVE_EVERY_MS, signal);
    }
  }

  /** @returns whether all could be read. */
  async #load(store: Store): Promise<boolean> {
    try {
      await this.#loadAll(store);
      return true;
    } catch (error) {
      this.#log('warn', 'audit.heads-not-read', { error: String(error) });
      return false;
    }
  }

  async #loadAll(store: Store): Promise<void> {
    if (!store.hasNamespace(NAMESPACE)) return;
    const namespace = await store.namespace(NAMESPACE);
    for await (const [name, value] of namespace.entries()) {
      const read = this.#seenIn(name, value);
      if (read === undefined) continue;
      const { account } = read;
      let { kept } = read;
      // Heard before the store was open: what was seen first counts.
      for (const heard of this.#heads.get(name) ?? [])
        if (!this.#isOther(account, kept, heard.head)) kept = withHead(kept, heard);
      this.#heads.set(name, kept);
    }
  }

  /** A record that cannot be read is a defect; the heads of the other servers still count. It is written again. */
  #seenIn(name: string, value: Uint8Array): { readonly account: AccountId; kept: SeenHeads } | undefined {
    try {
      return { account: AccountId.of(tryFromHex(name) ?? new Uint8Array(0)), kept: decodeSeen(value) };
    } catch (error) {
      this.#log('warn', 'audit.heads-not-read', { name, error: String(error) });
      return undefined;
    }
  }

  async #save(store: Store): Promise<void> {
    if (this.#unsaved.size === 0) return;
    const namespace = await store.namespace(NAMESPACE);
    for (const name of [...this.#unsaved]) {
      const seen = this.#heads.get(name);
      // Before the write: a head that is heard during it has to be written next time.
      this.#unsaved.delete(name);
      if (seen === undefined) continue;
      await namespace.put(name, encodeSeen(seen)).catch((error: unknown) => {
        this.#unsaved.add(name);
        throw error;
      });
    }
  }
}
