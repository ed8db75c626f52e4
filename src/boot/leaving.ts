import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import type { Slot } from '../keyslots/keyslot-file.ts';
import { type CheckedSlot, isDraining } from './slot-check.ts';

/** After so many doublings a server that asks to be left is heeded no more slowly. */
const MAX_DOUBLINGS = 10;

/** So long a server that was left is asked last, in milliseconds: it refuses, if what it said is true. */
const LAST_FOR_MS = 3_600_000;

interface Word {
  /** The process that said so: when it ends, so does its draining. */
  readonly instance: string;
  /** Since when it says so, without a look that found otherwise. */
  sinceMs: number | undefined;
  /** How often a generation was made without it because it said so. */
  timesLeft: number;
  leftAtMs: number;
}

/**
 * Servers that drain, by their own word under the MAC of a slot. They keep what they have, and are not wanted any more:
 * the next generation is made without them. A server that says so again and again, and gives keys in between, would
 * make a new generation each time: it is heeded at once the first time, and then after twice as long each time.
 */
export class Leaving {
  readonly #patienceMs: number;
  readonly #words = new Map<string, Word>();

  /** @param patienceMs how long the second word of one server process must last before it counts. */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Takes what a look found; returns the servers that did not say so at the look before. */
  note(checked: readonly CheckedSlot[], nowMs: number): readonly AccountId[] {
    const fresh: AccountId[] = [];
    const saying = new Map(checked.filter(isDraining).map(({ slot }) => [toHex(slot.server), slot]));
    for (const [name, { server, instanceId }] of saying) {
      const instance = toHex(instanceId);
      const known = this.#words.get(name);
      const word =
        known?.instance === instance
          ? known
          : { instance, sinceMs: undefined, timesLeft: 0, leftAtMs: Number.NEGATIVE_INFINITY };
      if (word.sinceMs === undefined) fresh.push(server);
      word.sinceMs ??= nowMs;
      this.#words.set(name, word);
    }
    for (const [name, word] of this.#words) if (!saying.has(name)) word.sinceMs = undefined;
    return fresh;
  }

  /** Whether a slot, whose server drains, is to be replaced now. */
  isHeeded({ server }: Pick<Slot, 'server'>, nowMs: number): boolean {
    const word = this.#words.get(toHex(server));
    if (word?.sinceMs === undefined) return false;
    if (word.timesLeft === 0) return true;
    return nowMs - word.sinceMs >= this.#patienceMs * 2 ** Math.min(word.timesLeft - 1, MAX_DOUBLINGS);
  }

  /** Notes that a generation was made without these servers, because they drain. */
  left(servers: readonly AccountId[], nowMs: number): void {
    for (const server of servers) {
      const word = this.#words.get(toHex(server));
      if (word === undefined) continue;
      word.timesLeft++;
      word.leftAtMs = nowMs;
    }
  }

  /** Whether a server was left a short while ago, so that others are asked before it. */
  wasLeft(server: AccountId, nowMs: number): boolean {
    const word = this.#words.get(toHex(server));
    return word !== undefined && nowMs >= word.leftAtMs && nowMs - word.leftAtMs < LAST_FOR_MS;
  }
}
