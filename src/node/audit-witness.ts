import { type AuditHead, decodeHead, encodeHead, sameHead } from '../audit/audit-chain.ts';
import { concatBytes } from '../bytes/concat.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex, tryFromHex } from '../bytes/hex.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { Log } from '../observe/log.ts';
import type { Extensions } from '../protocol/extensions.ts';
import type { Store } from '../store/api/store-api.ts';
import type { Clock } from '../time/clock.ts';

const NAMESPACE = 'latchkey/audit-heads';
const HEAD_BYTES = 40;
/** How often the heads are written: a server's head changes with each key that it gives. */
const SAVE_EVERY_MS = 600_000;
/** Most servers of which heads are kept. */
const MAX_SERVERS = 1_024;

/** A head of another node's audit log. */
interface SeenHead {
  readonly head: AuditHead;
  /** By the clock of this node, in milliseconds since 1970. */
  readonly atMs: number;
}

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
 * Keeps the newest head of the audit log of each server that answered under a key of this node. A server that writes
 * its log again cannot take back what its clients have seen.
 */
export class AuditWitness {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #heads = new Map<string, SeenHead>();
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
    if (known !== undefined && this.#isOther(server, known.head, head)) return;
    if (known !== undefined && head.sequence <= known.head.sequence) return;
    this.#heads.set(name, { head, atMs: this.#clock.nowMs() });
    this.#unsaved.add(name);
  }

  /** Whether two heads have one number and differ. */
  #isOther(server: AccountId, seen: AuditHead, now: AuditHead): boolean {
    if (now.sequence !== seen.sequence || sameHead(now, seen)) return false;
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

  /** The newest head of each server, by account. */
  heads(): readonly WitnessedHead[] {
    return [...this.#heads].sort().flatMap(([name, { head, atMs }]) => {
      const account = tryFromHex(name);
      if (account === undefined) return [];
      const { sequence, hash } = head;
      return [
        { server: encodeSs58(AccountId.of(account)), sequence, hash: toPrefixedHex(hash), seenAtMs: atMs },
      ];
    });
  }

  /** Reads what the store remembers, and keeps it up to date. Resolves when the signal aborts. */
  async run(store: Store, signal: AbortSignal): Promise<void> {
    await this.#load(store);
    while (!signal.aborted) {
      await this.#clock.sleep(SAVE_EVERY_MS, signal);
      await this.#save(store).catch((error: unknown) => {
        this.#log('warn', 'audit.heads-not-kept', { error: String(error) });
      });
    }
  }

  async #load(store: Store): Promise<void> {
    if (!store.hasNamespace(NAMESPACE)) return;
    const namespace = await store.namespace(NAMESPACE);
    for await (const [name, value] of namespace.entries()) {
      const seen = decodeSeen(value);
      const heard = this.#heads.get(name);
      const account = AccountId.of(tryFromHex(name) ?? new Uint8Array(0));
      // Heard before the store was open: what was seen first counts.
      const isOther = heard !== undefined && this.#isOther(account, seen.head, heard.head);
      if (heard === undefined || heard.head.sequence < seen.head.sequence || isOther)
        this.#heads.set(name, seen);
    }
  }

  async #save(store: Store): Promise<void> {
    if (this.#unsaved.size === 0) return;
    const namespace = await store.namespace(NAMESPACE);
    for (const name of [...this.#unsaved]) {
      const seen = this.#heads.get(name);
      if (seen !== undefined) await namespace.put(name, encodeSeen(seen));
      this.#unsaved.delete(name);
    }
  }
}

/** Head ‖ u64 milliseconds. */
const encodeSeen = ({ head, atMs }: SeenHead): Uint8Array =>
  concatBytes(encodeHead(head), u64BigEndian(atMs));

/** @throws EvidenceError AUDIT_ENTRY_INVALID. */
function decodeSeen(value: Uint8Array): SeenHead {
  if (value.length !== HEAD_BYTES + 8)
    throw new EvidenceError('AUDIT_ENTRY_INVALID', `the record of a head has ${value.length} bytes`);
  return {
    head: decodeHead(value.subarray(0, HEAD_BYTES)),
    atMs: Number(readU64BigEndian(value, HEAD_BYTES)),
  };
}
