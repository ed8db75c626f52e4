import { equalBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { Log } from '../../observe/log.ts';
import type { DroppedSlot } from '../node/slot-book.ts';
import type { PeerClient } from '../peer/peer-client.ts';
import { describeFailure, failureOf } from '../peer/peer-failure.ts';

/** Keys to be erased that are remembered at once. */
const MAX_TO_FORGET = 1024;

/**
 * Server keys that no generation needs any more, until their servers have erased them: a key that lives on would open
 * an older copy of the disk. A server that cannot be reached drops them when it restarts.
 */
export class KeyErasureQueue {
  readonly #client: PeerClient;
  readonly #log: Log;
  readonly #open = new Map<string, DroppedSlot>();
  /** Slots with a running request, so that a server that hangs is not asked again at every check. */
  readonly #telling = new Set<string>();

  constructor(parts: { readonly client: PeerClient; readonly log: Log }) {
    this.#client = parts.client;
    this.#log = parts.log;
  }

  /** Takes more slots, with their keys, and tries again what did not work before. Returns at once. */
  run(dropped: readonly DroppedSlot[], snapshot: ChainSnapshot): void {
    for (const slot of dropped) {
      if (this.#open.size < MAX_TO_FORGET) this.#open.set(toHex(slot.slotId), slot);
      else slot.key.wipe();
    }
    for (const [name, slot] of this.#open) this.#tell(name, slot, snapshot);
  }

  /** Wipes the keys of those that were not reached. */
  wipe(): void {
    for (const { key } of this.#open.values()) key.wipe();
    this.#open.clear();
  }

  #tell(name: string, slot: DroppedSlot, snapshot: ChainSnapshot): void {
    const record = snapshot.servers.find(({ account }) => equalBytes(account, slot.server));
    if (record === undefined || this.#telling.has(name)) return;
    this.#telling.add(name);
    const done = (): void => {
      this.#open.delete(name);
      slot.key.wipe();
    };
    const telling = this.#client.forget(record, slot).then(done, (error: unknown) => {
      const failure = failureOf(error);
      if (failure.kind === 'forgot') done();
      const reason = describeFailure(failure);
      this.#log('debug', 'slot.not-forgotten', { server: encodeSs58(slot.server), reason });
    });
    void telling.finally(() => this.#telling.delete(name));
  }
}
