import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { ReplicaStore } from '../../ring/replication/entry.ts';
import type { Holdings } from '../judge-write.ts';
import type { SecretContent } from '../record.ts';
import { peekEntry, recordBytesOf } from '../value.ts';

/** What a node knows of a record that it holds. */
export interface HeldSecret {
  /** Lower-case hex. */
  readonly id: string;
  readonly content: SecretContent;
  /** Of the whole entry. */
  readonly bytes: number;
}

/** Which records of each user a node holds, in memory. */
export class UserIndex {
  readonly #byUser = new Map<string, Map<string, HeldSecret>>();
  readonly #users = new Map<string, string>();
  #read: ReplicaStore['get'] = async () => undefined;

  /** A store that keeps the index true: the ring reads all its records when it opens, and writes through it. */
  around(store: ReplicaStore): ReplicaStore {
    const note = (id: string, bytes: Uint8Array): void => this.#note(id, bytes);
    const find = (id: string): HeldSecret | undefined => this.find(id);
    const restore = (id: string, before: HeldSecret | undefined): void => {
      if (before === undefined) this.#forget(id);
      else this.#enter(before);
    };
    const forget = (id: string): void => this.#forget(id);
    this.#read = (id) => store.get(id);
    return {
      get: (id) => store.get(id),
      async put(id, bytes) {
        const before = find(id);
        // Before it is written, so that many writes at once do not all fit into the last place of a user.
        note(id, bytes);
        try {
          await store.put(id, bytes);
        } catch (error) {
          restore(id, before);
          throw error;
        }
      },
      async delete(id) {
        await store.delete(id);
        forget(id);
      },
      async *entries() {
        for await (const bytes of store.entries()) {
          note(toHex(peekEntry(bytes).id), bytes);
          yield bytes;
        }
      },
      readLedger: () => store.readLedger(),
      writeLedger: (ledger) => store.writeLedger(ledger),
    };
  }

  /** Records of a user, in the order of their ids. */
  of(user: AccountId): readonly HeldSecret[] {
    return [...(this.#byUser.get(toHex(user))?.values() ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** What a user has here, without one record. */
  usageWithout(user: AccountId, id: string): Holdings {
    const others = this.of(user).filter((held) => held.id !== id);
    return { records: others.length, bytes: others.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  /** What is known of the record of an id, lower-case hex. */
  find(id: string): HeldSecret | undefined {
    return this.#byUser.get(this.#users.get(id) ?? '')?.get(id);
  }

  /** Whether the record of an id (lower-case hex) is here. */
  has(id: string): boolean {
    return this.#users.has(id);
  }

  /** Records of all users. */
  get size(): number {
    return this.#users.size;
  }

  /** The signed record of an id (lower-case hex), without its value. @returns `undefined` when it is gone. */
  async recordOf(id: string): Promise<Uint8Array | undefined> {
    const entry = await this.#read(id);
    return entry === undefined ? undefined : recordBytesOf(entry);
  }

  #note(id: string, bytes: Uint8Array): void {
    this.#enter({ id, content: peekEntry(bytes).content, bytes: bytes.length });
  }

  #enter(held: HeldSecret): void {
    const { id, content } = held;
    this.#forget(id);
    const user = toHex(content.account);
    const records = this.#byUser.get(user) ?? new Map<string, HeldSecret>();
    this.#byUser.set(user, records.set(id, held));
    this.#users.set(id, user);
  }

  #forget(id: string): void {
    const user = this.#users.get(id);
    const records = user === undefined ? undefined : this.#byUser.get(user);
    if (user === undefined || records === undefined) return;
    records.delete(id);
    this.#users.delete(id);
    if (records.size === 0) this.#byUser.delete(user);
  }
}
