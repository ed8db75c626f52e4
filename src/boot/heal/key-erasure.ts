import { equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import type { AccountId, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import type { Incarnation } from '../../lineage/incarnation.ts';
import { Lineage } from '../../lineage/lineage.ts';
import { isNewer } from '../../lineage/rules.ts';
import type { Log } from '../../observe/log.ts';
import { MAX_LINEAGE_SLOTS } from '../../protocol/lineage-state.ts';
import { LAST_NUMBER } from '../node/account-hold.ts';
import type { OldLineage, OldServer, OldSlot } from '../node/older-generations.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { ServerVetter } from '../obtain/vet-server.ts';
import type { PeerClient } from '../peer/peer-client.ts';
import { describeFailure, failureOf } from '../peer/peer-failure.ts';

/**
 * Has servers erase the keys that no generation needs any more, and close lineages of former store keys: while such a
 * key lives, an older copy of the disk opens. Servers are asked again until they answer, and they get the newest head
 * with every request. A server that hangs holds up no other.
 */
export class KeyErasure {
  readonly #client: PeerClient;
  readonly #vetter: ServerVetter;
  readonly #log: Log;
  readonly #node: OpenNode;
  /** Servers with a running request. */
  readonly #telling = new Set<string>();
  /** Slots of the lineage at servers without a slot of this node, as they showed them at the last visit, by server. */
  readonly #found = new Map<string, readonly SlotId[]>();
  /** Where the visit of servers without a slot of this node goes on. */
  #next = 0;
  readonly #onOvertaken: (by: Incarnation) => void;

  /** @param parts.onOvertaken is called at the answer that shows a newer instance under a former lineage. */
  constructor(
    parts: {
      readonly client: PeerClient;
      readonly vetter: ServerVetter;
      readonly log: Log;
      readonly onOvertaken: (by: Incarnation) => void;
    },
    node: OpenNode,
  ) {
    this.#client = parts.client;
    this.#vetter = parts.vetter;
    this.#log = parts.log;
    this.#onOvertaken = parts.onOvertaken;
    this.#node = node;
  }

  /**
   * Starts what is due and returns at once; only for an instance that holds the account.
   * @param shown slots of the lineage that servers showed, by server (hex); empty unless all slots of this node live.
   *   Those that are in no generation are erased: of an attempt that was cut off, or of the time after a backup was made.
   *   The caller has no generation under way.
   */
  run(snapshot: ChainSnapshot, shown: ReadonlyMap<string, readonly SlotId[]>, signal: AbortSignal): void {
    const { book, older, hold } = this.#node;
    void older.saveMissing();
    const old = new Map<string, OldSlot[]>();
    for (const slot of older.generations.flatMap(({ slots }) => slots)) {
      // A slot of the keyslot file is never erased, whatever the list says: the host may have put back an older file.
      if (book.has(slot.slotId)) continue;
      const name = toHex(slot.server);
      old.set(name, [...(old.get(name) ?? []), slot]);
    }
    const visited = this.#visited(snapshot);
    for (const record of snapshot.servers) {
      const name = toHex(record.account);
      const slots = old.get(name) ?? [];
      const seen = shown.size === 0 ? [] : [...(shown.get(name) ?? []), ...(this.#found.get(name) ?? [])];
      const strays = seen.filter((slotId) => !book.has(slotId));
      const ids = [...slots.map(({ slotId }) => slotId), ...strays];
      if (ids.length > 0 || record === visited) {
        this.#once(name, record, () => this.#update(record, slots, ids, snapshot, signal));
      }
    }
    void this.#noteDeparted(snapshot).catch(() => undefined);
    for (const lineage of older.lineages) {
      // The store key was not changed after all.
      if (equalBytes(lineage.secret.reveal(), hold.lineage.secret.reveal())) continue;
      for (const old of lineage.servers) {
        const record = snapshot.servers.find(({ account }) => equalBytes(account, old.server));
        if (record === undefined) continue;
        this.#once(`${toHex(old.server)}/${toHex(old.instanceId)}/former`, record, () =>
          this.#close(record, old, lineage, snapshot, signal),
        );
      }
    }
  }

  /**
   * One server in turn that has no slot of this node: it may know of a newer instance, and learns of this one. A server
   * that knows nothing of the lineage remembers nothing.
   */
  #visited({ servers }: ChainSnapshot): ServerRecord | undefined {
    const { book, identity } = this.#node;
    const others = servers.filter(
      ({ account }) =>
        !equalBytes(account, identity.account) &&
        !book.slots().some(({ slot }) => equalBytes(slot.server, account)),
    );
    return others.length === 0 ? undefined : others[this.#next++ % others.length];
  }

  #once(name: string, record: ServerRecord, work: () => Promise<void>): void {
    if (this.#telling.has(name)) return;
    this.#telling.add(name);
    const done = (error?: unknown): void => {
      this.#telling.delete(name);
      if (error === undefined) return;
      const reason = describeFailure(failureOf(error));
      this.#log('debug', 'slot.not-forgotten', { server: encodeSs58(record.account), reason });
    };
    work().then(() => done(), done);
  }

  async #update(
    record: ServerRecord,
    slots: readonly OldSlot[],
    ids: readonly SlotId[],
    snapshot: ChainSnapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const { hold, identity, store, older } = this.#node;
    const key = hold.lineage.keyOf(record.account);
    const forget = ids.filter((_id, index) => index < MAX_LINEAGE_SLOTS);
    const update = {
      incarnation: hold.incarnation,
      head: hold.headOf(store.head()),
      forget,
      close: undefined,
    };
    try {
      const { lineage } = await this.#client.lineageUpdate(
        record,
        { account: identity.account, key },
        update,
        signal,
      );
      hold.observe(lineage);
      if (lineage === undefined) return;
      this.#found.set(toHex(record.account), lineage.slots);
      await older.erased(forget.filter((id) => !lineage.slots.some((slotId) => equalBytes(slotId, id))));
    } catch (error) {
      if (slots.length === 0 || failureOf(error).kind !== 'forgot') throw error;
      // "No such lineage" proves nothing; another process of the server does.
      const instanceId = await this.#vetter.instanceOf(record, snapshot, signal);
      const lost = slots.filter((slot) => !equalBytes(slot.instanceId, instanceId));
      await older.erased(lost.map(({ slotId }) => slotId));
    } finally {
      key.wipe();
    }
  }

  async #close(
    record: ServerRecord,
    { instanceId }: OldServer,
    old: OldLineage,
    snapshot: ChainSnapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const { identity, older } = this.#node;
    const lineage = new Lineage(SecretBytes.adopt(copyBytes(old.secret.reveal())));
    const key = lineage.keyOf(record.account);
    const last = lineage.incarnation(LAST_NUMBER, old.last.boot);
    const from = lineage.incarnation(old.last.number, old.last.boot);
    const head = lineage.head(last, 0, new Uint8Array(32));
    try {
      const held = { account: identity.account, key };
      const update = { incarnation: from, head: undefined, forget: [], close: { last, head } };
      const answer = await this.#client.lineageUpdate(record, held, update, signal);
      const shown = answer.lineage?.shown;
      if (shown === undefined) return;
      if (shown.number === LAST_NUMBER && lineage.isOwnIncarnation(shown)) {
        await older.closed(
          old.secret,
          old.servers.filter(({ server }) => equalBytes(server, record.account)),
        );
      } else if (isNewer(shown, from) && lineage.isOwnIncarnation(shown)) {
        this.#onOvertaken(shown);
      }
    } catch (error) {
      if (failureOf(error).kind !== 'forgot') throw error;
      const present = await this.#vetter.instanceOf(record, snapshot, signal);
      if (!equalBytes(present, instanceId)) {
        await older.closed(old.secret, [{ server: record.account, instanceId }]);
      }
    } finally {
      key.wipe();
      lineage.wipe();
    }
  }

  /** Servers that left the chain can give no keys. */
  async #noteDeparted({ servers }: ChainSnapshot): Promise<void> {
    const { older } = this.#node;
    const isKnown = (server: AccountId) => servers.some(({ account }) => equalBytes(account, server));
    const gone = older.generations.flatMap(({ slots }) => slots).filter(({ server }) => !isKnown(server));
    if (gone.length > 0) await older.erased(gone.map(({ slotId }) => slotId));
    for (const { secret, servers: closers } of older.lineages) {
      const left = closers.filter(({ server }) => !isKnown(server));
      if (left.length > 0) await older.closed(secret, left);
    }
  }
}
