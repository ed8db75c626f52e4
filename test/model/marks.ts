import type { Head } from '../../src/lineage/head.ts';
import { BOOT_ID_BYTES, type Incarnation } from '../../src/lineage/incarnation.ts';
import { isNewer } from '../../src/lineage/rules.ts';

/** Boots that are earlier have the larger id. */
const FIRST_BYTE = 255;

/** A boot of a machine and its number; number 0 means no boot. There is one object for each mark. */
export class Mark {
  static readonly #known = new Map<number, Mark>();
  readonly number: number;
  readonly boot: number;
  /** A number of its own. */
  readonly id: number;
  /** As the code has it. */
  readonly incarnation: Incarnation;

  private constructor(number: number, boot: number) {
    this.id = number * 64 + boot;
    const bootId = new Uint8Array(BOOT_ID_BYTES);
    bootId[0] = boot === 0 ? 0 : FIRST_BYTE - boot;
    this.incarnation = { number, bootId };
    this.number = number;
    this.boot = boot;
  }

  static of(number: number, boot: number): Mark {
    const name = number * 64 + boot;
    const known = Mark.#known.get(name);
    if (known !== undefined) return known;
    const mark = new Mark(number, boot);
    Mark.#known.set(name, mark);
    return mark;
  }

  /** The mark with the first byte of a boot's id. */
  static from(number: number, bytes: Uint8Array): Mark {
    const [first = 0] = bytes;
    return Mark.of(number, first === 0 ? 0 : FIRST_BYTE - first);
  }

  /**
   * Whether this mark beats the other. Equal numbers are decided by the boot's id, which is random: here the earlier
   * boot wins, because that is the worse case.
   */
  beats(other: Mark): boolean {
    return this !== other && isNewer(this.incarnation, other.incarnation);
  }
}

/** A state of the store: the marks of the writers of all its records. There is one object for each history. */
export class History {
  static #count = 0;
  static readonly #byDigest = new WeakMap<Uint8Array, History>();
  readonly #next = new Map<Mark, History>();
  /** A number of its own. */
  readonly id = History.#count++;
  readonly last: Mark;
  readonly length: number;
  readonly before: History | undefined;
  /** As the code has it; the digest is an object of its own for each history. */
  readonly head: Head;

  constructor(last: Mark, before?: History) {
    this.last = last;
    this.before = before;
    this.length = before === undefined ? 0 : before.length + 1;
    this.head = { incarnation: last.incarnation, sequence: this.length, digest: new Uint8Array(0) };
    History.#byDigest.set(this.head.digest, this);
  }

  /** The history of a head. */
  static from(head: Head | undefined): History {
    return (head && History.#byDigest.get(head.digest)) ?? START;
  }

  plus(writer: Mark): History {
    const known = this.#next.get(writer);
    if (known !== undefined) return known;
    const next = new History(writer, this);
    this.#next.set(writer, next);
    return next;
  }

  /** The first records, as many as given; itself when it has fewer. */
  first(length: number): History {
    return this.length <= length || this.before === undefined ? this : this.before.first(length);
  }

  /** Whether it has every record of the other one: nothing of that is lost here. */
  contains(other: History): boolean {
    return this.first(other.length) === other;
  }
}

/** The mark of no boot. */
export const NOBODY = Mark.of(0, 0);
export const START = new History(NOBODY);
export const highest = (one: Mark, other: Mark): Mark => (other.beats(one) ? other : one);
