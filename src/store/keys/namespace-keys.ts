import type { RandomSource } from '../../crypto/random.ts';
import { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { XCHACHA_NONCE_BYTES } from '../../crypto/xchacha20-poly1305.ts';
import type { FileHandle } from '../../disk/file-system.ts';
import { syncFile } from '../files/files.ts';
import { SEAL_BYTES } from '../log/record-sealer.ts';

/**
 * The file `keys-<number>`: places of 128 bytes, each zeros or nonce (24) ‖ wrapped key (32) ‖ tag (16) ‖ zeros. A
 * key is wrapped under the records key with the associated data `LKNSKEY1` ‖ store id (16) ‖ namespace (u32) ‖ place
 * (u32). Erasing writes zeros over the place, so nothing of the key is left where the file system writes in place.
 */
export const KEY_PLACE_BYTES = 128;
const KEY_BYTES = 32;
const WRAPPED_BYTES = KEY_BYTES + SEAL_BYTES;
const LABEL = Buffer.from('LKNSKEY1');

const EMPTY_PLACE = Buffer.alloc(KEY_PLACE_BYTES);
const MOST_CLEARED_AT_ONCE = 8192;

/** Places `from` to before `end`, and how many of them hold something that is to be destroyed. */
interface GarbageRun {
  readonly from: number;
  end: number;
  count: number;
}

/** Most bytes of a keys file that are of use: a place is only taken by a namespace, which has a number of its own. */
export const mostKeysBytes = (nextNamespaceId: number): number => (nextNamespaceId + 2) * KEY_PLACE_BYTES;

/** Name of the keys file. */
export const keysFileName = (number: number): string => `keys-${String(number).padStart(10, '0')}`;

/** The wrapped keys of the erasable namespaces. */
export class NamespaceKeys {
  readonly path: string;
  readonly number: number;
  readonly #handle: FileHandle | undefined;
  readonly #wrapping: XChaCha20Key;
  readonly #storeId: Uint8Array;
  readonly #random: RandomSource;
  #bytes: Uint8Array;
  readonly #used = new Set<number>();
  /** No place below this one is free. */
  #firstFree = 0;

  /** `handle` is `undefined` where the file is gone: then nothing can be written, and all keys are lost. */
  constructor(
    file: { readonly path: string; readonly number: number; readonly handle: FileHandle | undefined },
    bytes: Uint8Array,
    keys: { readonly wrapping: XChaCha20Key; readonly storeId: Uint8Array; readonly random: RandomSource },
  ) {
    this.path = file.path;
    this.number = file.number;
    this.#handle = file.handle;
    this.#bytes = bytes;
    this.#wrapping = keys.wrapping;
    this.#storeId = keys.storeId;
    this.#random = keys.random;
  }

  /** Unwraps the key of a namespace; `undefined` when the place holds no such key. */
  open(place: number, namespace: number): Uint8Array | undefined {
    const at = place * KEY_PLACE_BYTES;
    const wrapped = this.#bytes.subarray(at, at + WRAPPED_BYTES);
    return this.#wrapping.open(wrapped, this.#associatedData(place, namespace));
  }

  /** Finds the place of a namespace's key when the record with the place is lost; for salvage only. */
  find(namespace: number): number | undefined {
    for (let place = 0; place * KEY_PLACE_BYTES < this.#bytes.length; place += 1) {
      const key = this.open(place, namespace);
      key?.fill(0);
      if (key !== undefined) return place;
    }
    return undefined;
  }

  /** Marks a place as belonging to a living namespace. */
  claim(place: number): void {
    this.#used.add(place);
  }

  /** Wraps a key at a free place, durably. @returns the place. */
  async add(namespace: number, key: Uint8Array): Promise<number> {
    while (this.#used.has(this.#firstFree)) this.#firstFree += 1;
    const place = this.#firstFree;
    await this.#write(place, this.#wrap(place, namespace, key));
    this.#used.add(place);
    return place;
  }

  /** Wraps a key at a place of a file that is yet to be saved. */
  place(place: number, namespace: number, key: Uint8Array): void {
    this.#bytes.set(this.#wrap(place, namespace, key), place * KEY_PLACE_BYTES);
    this.#used.add(place);
  }

  /** Writes all places, durably. */
  async save(): Promise<void> {
    await this.#file.write([this.#bytes], 0);
    await syncFile(this.#file);
  }

  #wrap(place: number, namespace: number, key: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(KEY_PLACE_BYTES);
    const associatedData = this.#associatedData(place, namespace);
    this.#wrapping.sealInto(bytes, 0, this.#random(XCHACHA_NONCE_BYTES), associatedData, key);
    return bytes;
  }

  /** Destroys the key at a place, durably. */
  async destroy(place: number): Promise<void> {
    await this.#write(place, new Uint8Array(KEY_PLACE_BYTES));
    this.#used.delete(place);
    this.#firstFree = Math.min(this.#firstFree, place);
  }

  /** Destroys what a crash left at places that no living namespace has, with one sync. @returns how many. */
  async destroyUnused(): Promise<number> {
    const runs = this.#garbage();
    const [first] = runs;
    if (first === undefined) return 0;
    for (const { from, end } of runs)
      await this.#file.write([new Uint8Array((end - from) * KEY_PLACE_BYTES)], from * KEY_PLACE_BYTES);
    await syncFile(this.#file);
    for (const { from, end } of runs) this.#bytes.fill(0, from * KEY_PLACE_BYTES, end * KEY_PLACE_BYTES);
    this.#firstFree = Math.min(this.#firstFree, first.from);
    return runs.reduce((sum, { count }) => sum + count, 0);
  }

  /**
   * Runs of places with something in them although no living namespace has them; free places may lie between. Garbage
   * costs the host nothing, so the number of runs depends on the living namespaces and not on the garbage.
   */
  #garbage(): readonly GarbageRun[] {
    const runs: GarbageRun[] = [];
    let run: GarbageRun | undefined;
    for (let place = 0; place * KEY_PLACE_BYTES < this.#bytes.length; place += 1) {
      const bytes = this.#placeBytes(place);
      if (this.#used.has(place)) run = undefined;
      else if (Buffer.compare(bytes, EMPTY_PLACE.subarray(0, bytes.length)) !== 0) {
        if (run === undefined || place - run.from >= MOST_CLEARED_AT_ONCE) {
          run = { from: place, end: place, count: 0 };
          runs.push(run);
        }
        run.end = place + 1;
        run.count += 1;
      }
    }
    return runs;
  }

  #placeBytes(place: number): Uint8Array {
    return this.#bytes.subarray(place * KEY_PLACE_BYTES, (place + 1) * KEY_PLACE_BYTES);
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  get #file(): FileHandle {
    if (this.#handle === undefined) throw new TypeError(`${this.path} is gone`);
    return this.#handle;
  }

  async #write(place: number, bytes: Uint8Array): Promise<void> {
    const at = place * KEY_PLACE_BYTES;
    await this.#file.write([bytes], at);
    await syncFile(this.#file);
    if (at + bytes.length > this.#bytes.length) {
      // Zeros stand for free places, so room to spare is harmless, and 100,000 namespaces do not copy it each time.
      const grown = new Uint8Array(2 * (at + bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, at);
  }

  #associatedData(place: number, namespace: number): Uint8Array {
    const bytes = Buffer.alloc(LABEL.length + 24);
    bytes.set(LABEL);
    bytes.set(this.#storeId, LABEL.length);
    bytes.writeUInt32BE(namespace, LABEL.length + 16);
    bytes.writeUInt32BE(place, LABEL.length + 20);
    return bytes;
  }
}

/** A fresh key of a namespace: 32 random bytes and its cipher. */
export function newNamespaceKey(random: RandomSource): {
  readonly bytes: Uint8Array;
  readonly cipher: XChaCha20Key;
} {
  const bytes = random(KEY_BYTES);
  return { bytes, cipher: new XChaCha20Key(bytes) };
}
