import type { SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { describeFailure, type PeerFailure } from '../peer/peer-failure.ts';

const NOT_SHOWN = 'too few key servers have shown the mark of this instance';

/** Why servers did not help this boot in its last attempt to take hold of its account. */
export class HoldFailures {
  #asked = 0;
  readonly #failures = new Map<string, PeerFailure>();

  /** An attempt begins that asks the servers of this many slots. */
  begin(asked: number): void {
    this.#asked = asked;
    this.#failures.clear();
  }

  /** The server of a slot did not answer as it should. */
  note(slotId: SlotId, failure: PeerFailure): void {
    this.#failures.set(toHex(slotId), failure);
  }

  /** The failure at a slot; `undefined` when it answered or was not asked. */
  of(slotId: SlotId): PeerFailure | undefined {
    return this.#failures.get(toHex(slotId));
  }

  /** One line for people, with the failure that most servers share. */
  get reason(): string {
    const groups = new Map<string, PeerFailure[]>();
    for (const failure of this.#failures.values()) {
      const name = 'code' in failure ? failure.code : failure.kind;
      groups.set(name, [...(groups.get(name) ?? []), failure]);
    }
    const [largest = []] = [...groups.values()].sort((a, b) => b.length - a.length);
    const [first] = largest;
    if (first === undefined) return NOT_SHOWN;
    const isStale = 'code' in first && first.code === 'TIMESTAMP_STALE';
    const advice = isStale ? '; check the clock of this machine' : '';
    return `${NOT_SHOWN}: ${largest.length} of ${this.#asked} servers ${describeFailure(first)}${advice}`;
  }
}
