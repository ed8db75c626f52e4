import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import type { ChainSnapshot } from '../chain/chain-view.ts';
import type { Generation } from '../keyslots/keyslot-file.ts';
import { RecoveryAttempt } from '../keyslots/recovery-attempt.ts';
import type { AttemptPace } from './attempt-pace.ts';
import type { RoundTools } from './key-round.ts';
import { runKeyRound } from './key-round.ts';
import type { OpenNode } from './open-node.ts';
import type { PeerFailure } from './peer-failure.ts';

const wrongKey: PeerFailure = { kind: 'lied', detail: 'its key does not open the slot' };

/**
 * Fetches the keys that a recovery did not wait for: those of the servers beyond the first t, and of the older
 * generation. With them the slots can be proved, and erased when no generation needs them.
 */
export class KeyLearning {
  readonly #tools: RoundTools;
  readonly #node: OpenNode;
  readonly #pace: AttemptPace;
  /** Why the key of a slot is not known, by slot. */
  readonly unknown = new Map<string, PeerFailure>();

  constructor(tools: RoundTools, node: OpenNode, pace: AttemptPace) {
    this.#tools = tools;
    this.#node = node;
    this.#pace = pace;
  }

  /** Asks for the missing keys, with exponential back-off. */
  async learn(snapshot: ChainSnapshot, signal: AbortSignal): Promise<void> {
    const { book } = this.#node;
    if (!this.#pace.isDue) return;
    for (const generation of book.file?.generations ?? []) {
      await this.#learnKeysOf(generation, snapshot, signal);
    }
    const isAllKnown = book.slots().every(({ slot }) => book.keyOf(slot.slotId) !== undefined);
    if (isAllKnown) this.#pace.relax();
    else this.#pace.backOff();
  }

  /** One round: a quote does not name a server twice, so each generation needs its own. */
  async #learnKeysOf(generation: Generation, snapshot: ChainSnapshot, signal: AbortSignal): Promise<void> {
    const { book, identity } = this.#node;
    const targets = generation.slots.flatMap((slot) => {
      const peer = snapshot.servers.find(({ account }) => equalBytes(account, slot.server));
      return peer !== undefined && book.keyOf(slot.slotId) === undefined
        ? [{ peer, slotId: slot.slotId, recoveryToken: slot.recoveryToken }]
        : [];
    });
    if (targets.length === 0) return;
    await runKeyRound(this.#tools, {
      account: identity.account,
      intent: 'recover',
      targets,
      // The first answer gets a quote at once; a server that hangs gets a quote of its own.
      quorum: 1,
      signal,
      onResult: ({ slotId, peer }, result) => {
        this.unknown.set(toHex(slotId), result.ok ? wrongKey : result.failure);
        if (!result.ok || book.file === undefined) return;
        const { keyId, key } = result.answer.grant;
        // Only the key that opens the slot counts: a lying server could prove to hold any key that it gave.
        const attempt = new RecoveryAttempt(book.file, 1);
        const answer = { server: peer.account, platform: 'any', slotId, keyId, key };
        if (attempt.offer(answer) === 'opened') book.learn(slotId, key);
        else key.wipe();
        attempt.wipe();
      },
    });
  }
}
