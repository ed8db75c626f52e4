import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import type { RandomSource } from '../../crypto/random.ts';
import type { Incarnation } from '../../lineage/incarnation.ts';
import type { Log } from '../../observe/log.ts';
import { MAX_LINEAGE_SLOTS } from '../../protocol/lineage-state.ts';
import { type Clock, monotonicMsOf } from '../../time/clock.ts';
import type { OldSlot } from '../node/older-records.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { PresentProcess } from '../obtain/present-process.ts';
import type { ServerVetter } from '../obtain/vet-server.ts';
import type { PeerClient } from '../peer/peer-client.ts';
import { describeFailure, failureOf, PeerError, type PeerFailure } from '../peer/peer-failure.ts';
import { FormerLineages } from './former-lineages.ts';
import { PacedRequests } from './paced-requests.ts';

/** Slots of failed enrolments that are remembered, each server. */
const MAX_ABANDONED = 128;
/** Most registered quotes that are verified at one look, to find a server that may be visited. */
const MAX_EXAMINED = 8;
/** A server with so many slots of the lineage soon refuses new ones: a keyslot file needs two of them. */
const CROWDED = MAX_LINEAGE_SLOTS / 2;
/** The longest wait before a server is asked again, in longest waits of other attempts. */
const SLOWER = 4;

/** What a {@link KeyErasure} uses. */
export interface KeyErasureParts {
  readonly client: PeerClient;
  readonly vetter: ServerVetter;
  readonly presentProcess: PresentProcess;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  readonly options: { readonly retryMinMs: number; readonly retryMaxMs: number };
  /**
   * Called at the answer that shows a newer instance under a former lineage.
   * @param lineage its name: the random part (hex) of the boot that changed the store key.
   * @returns whether the operator accepted, for this start, that what that instance wrote is lost.
   */
  readonly onOvertaken: (by: Incarnation, lineage: string) => boolean;
}

/** Slots of the lineage that servers showed. */
export interface ShownSlots {
  /** By server (hex); none while fewer than t slots of the newest generation live. */
  readonly byServer: ReadonlyMap<string, readonly SlotId[]>;
  /** Whether all slots of this node live. */
  readonly isBacked: boolean;
}

/**
 * Has servers erase the keys that no generation needs any more, and close lineages of former store keys: while such a
 * key lives, an older copy of the disk opens. Servers are asked again until they answer, and they get the newest head
 * with every request. A server that hangs holds up no other.
 */
export class KeyErasure {
  readonly #client: PeerClient;
  readonly #vetter: ServerVetter;
  readonly #presentProcess: PresentProcess;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #node: OpenNode;
  readonly #requests: PacedRequests;
  readonly #former: FormerLineages;
  /** Slots of the lineage at servers without a slot of this node, as they showed them at the last visit, by server. */
  readonly #found = new Map<string, readonly SlotId[]>();
  /** Slots of enrolments that failed, by server: they are in no generation, whatever the node knows of them. */
  readonly #abandoned = new Map<string, SlotId[]>();
  /** Where the visit of servers without a slot of this node goes on. */
  #next = 0;
  /** How many entries that made room were reported. */
  #reported = 0;

  constructor(parts: KeyErasureParts, node: OpenNode) {
    const { client, vetter, presentProcess, clock, log, options } = parts;
    this.#client = client;
    this.#vetter = vetter;
    this.#presentProcess = presentProcess;
    this.#clock = clock;
    this.#log = log;
    const { retryMinMs, retryMaxMs } = options;
    this.#requests = new PacedRequests(parts, { retryMinMs, retryMaxMs: SLOWER * retryMaxMs });
    this.#former = new FormerLineages({ ...parts, requests: this.#requests }, node);
    this.#node = node;
  }

  /** Notes a slot of an enrolment that failed: it may be linked, though no answer said so. */
  abandon(server: AccountId, slotId: SlotId): void {
    const name = toHex(server);
    const known = this.#abandoned.get(name) ?? [];
    this.#abandoned.set(
      name,
      [...known, slotId].filter((_id, at, all) => at >= all.length - MAX_ABANDONED),
    );
  }

  /**
   * Starts what is due and returns at once; only for an instance that holds the account.
   * @param shown slots of the lineage that servers showed. Those that are in no generation are erased: of attempts that were
   *   cut off, or of the time after a backup was made. The caller has no generation under way.
   */
  run(snapshot: ChainSnapshot, { byServer, isBacked }: ShownSlots, signal: AbortSignal): void {
    const { book, older } = this.#node;
    this.#noteChain(snapshot);
    this.#reportDropped();
    if (isBacked) void older.settle();
    const old = new Map<string, OldSlot[]>();
    for (const slot of older.erasable.flatMap(({ slots }) => slots)) {
      // A slot of the keyslot file is never erased, whatever the list says: the host may have put back an older file.
      if (book.has(slot.slotId)) continue;
      const name = toHex(slot.server);
      old.set(name, [...(old.get(name) ?? []), slot]);
    }
    const visited = this.#visited(snapshot);
    for (const record of snapshot.servers) {
      const name = toHex(record.account);
      const slots = old.get(name) ?? [];
      const strays = [
        ...(this.#abandoned.get(name) ?? []),
        ...this.#needless(name, byServer, isBacked),
      ].filter((slotId) => !book.has(slotId));
      const ids = [...slots.map(({ slotId }) => slotId), ...strays];
      if (ids.length > 0 || record === visited) {
        this.#requests.start(
          name,
          () => this.#update(record, slots, ids, snapshot, signal),
          (error) => this.#logFailure(record, error),
        );
      }
    }
    this.#former.run(snapshot, signal, (record, error) => this.#logFailure(record, error));
  }

  /**
   * Slots at a server that no generation of the keyslot file has, as far as they may go. Before all slots of the file live
   * only where a server has so many that it soon refuses new ones: attempts that were cut off again and again would keep
   * this node from ever being backed. Not those of the last generation that was made: the host may hide the file with it.
   */
  #needless(name: string, byServer: ShownSlots['byServer'], isBacked: boolean): readonly SlotId[] {
    if (byServer.size === 0) return [];
    const seen = [...(byServer.get(name) ?? []), ...(this.#found.get(name) ?? [])];
    if (isBacked) return seen;
    if (new Set(seen.map(toHex)).size < CROWDED) return [];
    const last = this.#node.older.lastMade?.slots ?? [];
    return seen.filter((id) => !last.some(({ slotId }) => equalBytes(slotId, id)));
  }

  #noteChain({ servers }: ChainSnapshot): void {
    const { older } = this.#node;
    const known = new Set(servers.map(({ account }) => toHex(account)));
    const monotonicMs = monotonicMsOf(this.#clock);
    void older.noteChain((server) => known.has(toHex(server)), monotonicMs);
  }

  /** An older copy of the disk may still open by what made room. */
  #reportDropped(): void {
    const { dropped } = this.#node.older;
    if (dropped > this.#reported) this.#log('warn', 'older.dropped', { dropped });
    this.#reported = dropped;
  }

  /**
   * One server in turn that has no slot of this node: it may know of a newer instance, and learns of this one. A server
   * that knows nothing of the lineage remembers nothing. Only a server with a registration that proves a machine is
   * visited; few are examined at one look, because a verification takes milliseconds.
   */
  #visited({ servers }: ChainSnapshot): ServerRecord | undefined {
    const { book, identity } = this.#node;
    const own = new Set([identity.account, ...book.slots().map(({ slot }) => slot.server)].map(toHex));
    let examined = 0;
    for (let passed = 0; passed < servers.length && examined < MAX_EXAMINED; passed++) {
      const record = servers[this.#next++ % servers.length];
      if (record === undefined || own.has(toHex(record.account))) continue;
      examined++;
      if (this.#vetter.platformOf(record) !== undefined) return record;
    }
    return undefined;
  }

  #logFailure(record: ServerRecord, error: unknown): void {
    const reason = describeFailure(failureOf(error));
    this.#log('debug', 'slot.not-forgotten', { server: encodeSs58(record.account), reason });
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
    // A server that shows erased slots for ever must not block the others of a long list.
    const from = ids.length > MAX_LINEAGE_SLOTS ? this.#next * MAX_LINEAGE_SLOTS : 0;
    const forget = [...new Map(ids.map((id) => [toHex(id), id])).values()].filter(
      (_id, index, all) => (index + all.length - (from % all.length)) % all.length < MAX_LINEAGE_SLOTS,
    );
    const update = {
      incarnation: hold.incarnation,
      head: hold.headOf(store.head()),
      forget,
      close: undefined,
    };
    try {
      const { lineage } = await this.#client.lineageUpdate(
        record,
        { account: identity.account, key, observer: hold },
        update,
        signal,
      );
      if (lineage === undefined) return;
      this.#found.set(toHex(record.account), lineage.slots);
      const gone = forget.filter((id) => !lineage.slots.some((slotId) => equalBytes(slotId, id)));
      const name = toHex(record.account);
      const left = (this.#abandoned.get(name) ?? []).filter((id) => !gone.some((one) => equalBytes(one, id)));
      if (left.length > 0) this.#abandoned.set(name, left);
      else this.#abandoned.delete(name);
      await older.erased(gone);
      if (forget.length > 0 && gone.length === 0) throw new PeerError(notErased);
    } catch (error) {
      if (failureOf(error).kind !== 'forgot') throw error;
      // Most servers know nothing of this lineage.
      if (slots.length === 0) return;
      // "No such lineage" proves nothing; another process of the server does.
      const known = slots.map(({ instanceId }) => instanceId);
      const { account } = identity;
      const present = await this.#presentProcess({ record, account, known, snapshot, signal });
      const lost = slots.filter((slot) => !equalBytes(slot.instanceId, present));
      await older.erased(lost.map(({ slotId }) => slotId));
      if (lost.length < slots.length) throw error;
    } finally {
      key.wipe();
    }
  }
}

const notErased: PeerFailure = { kind: 'garbage', detail: 'it did not erase the slots' };
