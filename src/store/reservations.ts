import { concatBytes, equalBytes } from '../bytes/concat.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import { EvidenceError, LatchkeyError } from '../errors/latchkey-error.ts';
import type { BatchOperation, Namespace, Store } from './api/store-api.ts';

const SESSION_BYTES = 16;
const TOKEN_BYTES = 16;

/** The right to put one value under one name, once. Only {@link ReservedNames.reserve} makes one that is honoured. */
export interface Reservation {
  readonly name: string;
}

/** Where reservations live and what they are made of; all have defaults. */
export interface ReservedNamesOptions {
  /** Namespace of the values (default `kv`); the reservations are in the one named `<namespace>.reserved`. */
  readonly namespace?: string;
  readonly random?: RandomSource;
}

/** One session per opened store: what an earlier process reserved can be told from what this one did. */
const sessions = new WeakMap<Store, Uint8Array>();

/**
 * Write-once names over a {@link Store}: reserve, then put; the API of the predecessor's key-value manager, with its
 * windows closed. A reservation is a record of its own, so a value of any length (also none) is a value. Every step
 * is one atomic batch. What a killed process had reserved can be reserved again or be reclaimed, as its reservations
 * ended with it.
 */
export class ReservedNames {
  readonly #store: Store;
  readonly #values: Namespace;
  readonly #reserved: Namespace;
  readonly #session: Uint8Array;
  readonly #random: RandomSource;
  /** What each honoured reservation's record holds; a forged or foreign object is not in here. */
  readonly #marks = new WeakMap<Reservation, Uint8Array>();

  private constructor(
    store: Store,
    values: Namespace,
    reserved: Namespace,
    session: Uint8Array,
    random: RandomSource,
  ) {
    this.#store = store;
    this.#values = values;
    this.#reserved = reserved;
    this.#session = session;
    this.#random = random;
  }

  /** Opens, and on first use creates, the two namespaces. @throws EvidenceError STORE_NAMESPACE_KIND. */
  static async open(
    store: Store,
    { namespace = 'kv', random = systemRandom }: ReservedNamesOptions = {},
  ): Promise<ReservedNames> {
    const values = await store.namespace(namespace);
    const reserved = await store.namespace(`${namespace}.reserved`);
    const session = sessions.get(store) ?? random(SESSION_BYTES);
    sessions.set(store, session);
    return new ReservedNames(store, values, reserved, session, random);
  }

  /**
   * Takes a free name, or one that an earlier process had reserved and never filled.
   * @throws EvidenceError STORE_NAME_TAKEN (it has a value), STORE_ALREADY_RESERVED.
   */
  async reserve(name: string): Promise<Reservation> {
    const present = await this.#reserved.get(name);
    if (present !== undefined && !this.#isLeftover(present)) throw alreadyReserved(name);
    const mark = concatBytes(this.#session, this.#random(TOKEN_BYTES));
    const reserved = await this.#apply([
      { kind: 'expect', namespace: this.#values.name, name, value: undefined },
      { kind: 'expect', namespace: this.#reserved.name, name, value: present },
      { kind: 'put', namespace: this.#reserved.name, name, value: mark },
    ]);
    if (!reserved) throw this.#values.has(name) ? nameTaken(name) : alreadyReserved(name);
    const reservation: Reservation = Object.freeze({ name });
    this.#marks.set(reservation, mark);
    return reservation;
  }

  /**
   * Stores the value and uses the reservation up; durable when it resolves.
   * @throws EvidenceError STORE_RESERVATION_INVALID (used, given back, forged, or of another store); nothing changes.
   */
  async put(reservation: Reservation, value: Uint8Array): Promise<void> {
    const mark = this.#marks.get(reservation);
    const { name } = reservation;
    const stored =
      mark !== undefined &&
      (await this.#apply([
        { kind: 'expect', namespace: this.#reserved.name, name, value: mark },
        { kind: 'expect', namespace: this.#values.name, name, value: undefined },
        { kind: 'put', namespace: this.#values.name, name, value },
        { kind: 'delete', namespace: this.#reserved.name, name },
      ]));
    if (!stored) {
      throw new EvidenceError('STORE_RESERVATION_INVALID', 'this reservation does not hold its name', {
        expected: 'a reservation of this store that was neither used nor given back',
        hint: 'reserve the name; to change a value that is there use replace',
      });
    }
    this.#marks.delete(reservation);
  }

  /**
   * The value.
   * @throws EvidenceError STORE_NAME_MISSING, STORE_NAME_RESERVED.
   */
  async get(name: string): Promise<Uint8Array> {
    for (;;) {
      const value = await this.#values.get(name);
      if (value !== undefined) return value;
      if (this.#reserved.has(name)) throw nameReserved(name, 'it has no value yet');
      // It may have been put between the two looks; then it never was missing.
      if (!this.#values.has(name)) throw nameMissing(name);
    }
  }

  /** Whether the name has a value or is reserved. */
  exists(name: string): boolean {
    return this.#values.has(name) || this.#reserved.has(name);
  }

  /**
   * Puts another value in place of the present one, in one step: no moment without a value, whatever crashes.
   * @returns the value before.
   * @throws EvidenceError STORE_NAME_MISSING, STORE_NAME_RESERVED.
   */
  async replace(name: string, value: Uint8Array): Promise<Uint8Array> {
    for (;;) {
      const before = await this.get(name);
      // A writer that came between makes this false; then its value is the one to replace.
      if (await this.#values.compareAndSet(name, before, value)) return before;
    }
  }

  /**
   * Removes a value; false where there was none.
   * @throws EvidenceError STORE_NAME_RESERVED: a reservation is given back by {@link unreserve} or {@link reclaim}.
   */
  async delete(name: string): Promise<boolean> {
    for (;;) {
      if ((await this.#values.delete(name)) !== undefined) return true;
      if (this.#reserved.has(name)) throw nameReserved(name, 'only its holder may give it back');
      // As in get: put between the two looks.
      if (!this.#values.has(name)) return false;
    }
  }

  /** Gives a reservation back; false when it no longer holds its name. Never removes a value. */
  async unreserve(reservation: Reservation): Promise<boolean> {
    const mark = this.#marks.get(reservation);
    if (mark === undefined) return false;
    const isGivenBack = await this.#reserved.compareAndSet(reservation.name, mark, undefined);
    // Not before: on a full disk it still holds its name, and its holder may try again.
    this.#marks.delete(reservation);
    return isGivenBack;
  }

  /** Names, ordered, that an earlier process reserved and never filled. */
  async leftovers(): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const [name, mark] of this.#reserved.entries()) if (this.#isLeftover(mark)) names.push(name);
    return names;
  }

  /** Gives back all {@link leftovers}. @returns how many. */
  async reclaim(): Promise<number> {
    let count = 0;
    for (const name of await this.leftovers()) {
      const mark = await this.#reserved.get(name);
      if (mark === undefined || !this.#isLeftover(mark)) continue;
      if (await this.#reserved.compareAndSet(name, mark, undefined)) count++;
    }
    return count;
  }

  #isLeftover(mark: Uint8Array): boolean {
    return !equalBytes(mark.subarray(0, SESSION_BYTES), this.#session);
  }

  /** False when a condition did not hold. */
  async #apply(operations: readonly BatchOperation[]): Promise<boolean> {
    try {
      await this.#store.batch(operations);
      return true;
    } catch (error) {
      if (error instanceof LatchkeyError && error.code === 'STORE_CONFLICT') return false;
      throw error;
    }
  }
}

const alreadyReserved = (name: string): EvidenceError =>
  new EvidenceError('STORE_ALREADY_RESERVED', `the name of ${name.length} characters is reserved already`, {
    field: 'name',
  });

const nameTaken = (name: string): EvidenceError =>
  new EvidenceError('STORE_NAME_TAKEN', `the name of ${name.length} characters has a value already`, {
    field: 'name',
    hint: 'to change the value use replace',
  });

const nameMissing = (name: string): EvidenceError =>
  new EvidenceError('STORE_NAME_MISSING', `there is no value under this name of ${name.length} characters`, {
    field: 'name',
  });

const nameReserved = (name: string, why: string): EvidenceError =>
  new EvidenceError('STORE_NAME_RESERVED', `the name of ${name.length} characters is reserved: ${why}`, {
    field: 'name',
  });
