import { equalBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import type { Incarnation } from '../../protocol/mac-routes.ts';
import type { OwnMarks } from './own-marks.ts';

/**
 * The claim of this boot on its account. A boot claims one more than the largest number that t servers showed; what
 * an earlier boot left at fewer servers than that can still be larger, so a boot raises its claim until it holds t.
 */
export class OwnClaim {
  readonly #marks: OwnMarks;
  readonly #random: Uint8Array;
  #current: Incarnation;

  /** @param random the random part of the boot id, 8 bytes, drawn once per start. */
  constructor(marks: OwnMarks, number: number, random: Uint8Array) {
    this.#marks = marks;
    this.#random = random;
    this.#current = marks.markIncarnation(number, random);
  }

  get current(): Incarnation {
    return this.#current;
  }

  /** Claims one more than this number from now on. */
  raiseAbove(number: number): void {
    if (number < this.#current.number) return;
    this.#current = this.#marks.markIncarnation(number + 1, this.#random);
  }

  /** Whether a server shows exactly this claim. */
  isShownBy(other: Incarnation): boolean {
    return other.number === this.#current.number && equalBytes(other.bootId, this.#current.bootId);
  }

  /** Whether a server shows a claim of this node, with the node's own mark, that beats this boot's. */
  isBeatenBy(other: Incarnation): boolean {
    if (!this.#marks.isOwnIncarnation(other)) return false;
    const { number, bootId } = this.#current;
    return other.number === number ? toHex(other.bootId) > toHex(bootId) : other.number > number;
  }
}
