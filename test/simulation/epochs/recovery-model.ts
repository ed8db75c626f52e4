import { toHex } from '../../../src/bytes/hex.ts';
import type { EpochJournal } from '../../../src/epochs/epoch-journal.ts';

/** The kinds of message that the fuzzer writes. */
export const kinds = ['dealings', 'acks', 'logs', 'evidence'] as const;
export type Kind = (typeof kinds)[number];

/** Everything a journal shows of an epoch's messages, as `kind/participant → message`, both in hex. */
export function shown(journal: EpochJournal, epoch: number): Map<string, string> {
  const entries = kinds.flatMap((kind) =>
    journal[kind](epoch).map(({ participant, message }) => {
      return [`${kind}/${toHex(participant)}`, toHex(message)] as const;
    }),
  );
  return new Map(entries);
}

/**
 * What a journal must and may hold after a crash: at least what was acknowledged, at most what was tried, exact
 * contents; the pruned bound and the current epoch each between the acknowledged and the tried value.
 */
export class RecoveryModel {
  #durable = new Map<number, Map<string, string>>();
  #tried = new Map<number, Map<string, Set<string>>>();
  #current = { durable: 0, tried: 0 };
  #pruned = { durable: 0, tried: 0 };

  tries(epoch: number, name: string, message: string): void {
    const names = this.#tried.get(epoch) ?? new Map<string, Set<string>>();
    names.set(name, (names.get(name) ?? new Set()).add(message));
    this.#tried.set(epoch, names);
  }

  acknowledged(epoch: number, name: string, message: string): void {
    const names = this.#durable.get(epoch) ?? new Map<string, string>();
    names.set(name, message);
    this.#durable.set(epoch, names);
  }

  has(epoch: number, name: string): boolean {
    return this.#durable.get(epoch)?.has(name) ?? false;
  }

  triesEpoch(epoch: number): void {
    this.#current.tried = Math.max(this.#current.tried, epoch);
  }

  entered(epoch: number): void {
    this.#current.durable = Math.max(this.#current.durable, epoch);
  }

  triesPrune(min: number): void {
    this.#pruned.tried = Math.max(this.#pruned.tried, min);
  }

  prunedTo(min: number): void {
    this.#pruned.durable = Math.max(this.#pruned.durable, min);
  }

  /** Checks a recovered journal against the bounds, and takes what it found for what is there from now on. */
  recover(journal: EpochJournal): string[] {
    const wrong: string[] = [];
    const current = journal.current()?.number ?? -1;
    const { prunedBelow } = journal;
    if (current < this.#current.durable || current > this.#current.tried) wrong.push(`epoch is ${current}`);
    if (prunedBelow < this.#pruned.durable || prunedBelow > this.#pruned.tried)
      wrong.push(`pruned below ${prunedBelow}`);
    this.#current = { durable: current, tried: current };
    this.#pruned = { durable: prunedBelow, tried: prunedBelow };
    for (const epoch of new Set([...this.#durable.keys(), ...this.#tried.keys(), ...journal.epochs()])) {
      const found = shown(journal, epoch);
      if (epoch < prunedBelow && found.size > 0) wrong.push(`epoch ${epoch} is pruned and not empty`);
      if (epoch >= prunedBelow) wrong.push(...this.#compare(epoch, found));
      this.#durable.set(epoch, found);
    }
    this.#tried = new Map();
    return wrong;
  }

  #compare(epoch: number, found: ReadonlyMap<string, string>): string[] {
    const lost = [...(this.#durable.get(epoch) ?? [])].filter(
      ([name, message]) => found.get(name) !== message,
    );
    const invented = [...found].filter(([name, message]) => {
      const isDurable = this.#durable.get(epoch)?.get(name) === message;
      return !isDurable && this.#tried.get(epoch)?.get(name)?.has(message) !== true;
    });
    return [
      ...lost.map(([name]) => `epoch ${epoch} lost or changed ${name}`),
      ...invented.map(([name]) => `epoch ${epoch} has an unknown ${name}`),
    ];
  }
}
