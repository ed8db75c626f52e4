import { concatBytes } from '../bytes/concat.ts';
import type { RandomSource } from '../crypto/random.ts';
import {
  XCHACHA_NONCE_BYTES,
  xchacha20Poly1305Open,
  xchacha20Poly1305Seal,
} from '../crypto/xchacha20-poly1305.ts';
import { EvidenceError, ProblemError } from '../errors/latchkey-error.ts';
import type { Namespace, Store } from '../store/api/store-api.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import { boundData, decodeCiphertext, encodeCiphertext, MAX_KEY_VERSION } from './ciphertext.ts';

const NAMESPACE = 'latchkey/transit-keys';
const FORMAT = 1;
const KEY_BYTES = 32;
/** Digits of a version in a record name, so that names are in the order of versions. */
const VERSION_DIGITS = `${MAX_KEY_VERSION}`.length;

/** Most versions of keys, of all names together. */
export const MAX_TRANSIT_KEYS = 1000;

/** Names of Vault's transit keys: word characters, and inside of the name also `.` and `-`; at most 64. */
export const transitKeyName = /^\w(?:[\w.-]{0,62}\w)?$/;

/**
 * Named keys that never leave this store, for programs that have a small secret encrypted: XChaCha20-Poly1305 with a
 * random nonce, bound to the name and the version. Record: format 1 ‖ 32 random bytes, under `NAME/VERSION`. A record
 * is written once and never replaced, and is durable before anything is encrypted with it.
 */
export class TransitKeys {
  readonly #store: Store;
  readonly #random: RandomSource;
  readonly #maxKeys: number;
  /** One change at a time, so that the limit of keys is exact. */
  readonly #changes = new KeyedLock<'keys'>();

  constructor(store: Store, random: RandomSource, maxKeys: number = MAX_TRANSIT_KEYS) {
    this.#store = store;
    this.#random = random;
    this.#maxKeys = maxKeys;
  }

  /**
   * Encrypts with the newest version of a key. The first use of a name makes its key.
   * @param name matches {@link transitKeyName}.
   * @param associatedData authenticated and not encrypted; decryption needs the same.
   * @returns the text for {@link decrypt}, and the version that it names.
   * @throws ProblemError TRANSIT_KEYS_FULL, STORE_RECORD_DAMAGED, and what the store throws where a key has to be made,
   *   such as NODE_FENCED and NODE_UNCLAIMED.
   */
  async encrypt(
    name: string,
    plaintext: Uint8Array,
    associatedData: Uint8Array,
  ): Promise<{ readonly ciphertext: string; readonly version: number }> {
    const version = (await this.#newestVersion(name)) ?? (await this.#makeFirst(name));
    const key = await this.#key(name, version);
    if (key === undefined) throw damaged(name, version, 'is not there');
    try {
      const nonce = this.#random(XCHACHA_NONCE_BYTES);
      const bound = boundData(name, version, associatedData);
      const sealed = concatBytes(nonce, xchacha20Poly1305Seal(key, nonce, bound, plaintext));
      return { ciphertext: encodeCiphertext({ version, sealed }), version };
    } finally {
      key.fill(0);
    }
  }

  /**
   * Decrypts what {@link encrypt} made under this name, of any version.
   * @returns the plaintext, which the caller wipes.
   * @throws EvidenceError TRANSIT_CIPHERTEXT_INVALID, the same for each cause: another name or version, a key that is
   *   not in this store, other associated data, altered or cut bytes. ProblemError STORE_RECORD_DAMAGED.
   */
  async decrypt(name: string, ciphertext: string, associatedData: Uint8Array): Promise<Uint8Array> {
    const given = decodeCiphertext(ciphertext);
    const key = given === undefined ? undefined : await this.#key(name, given.version);
    if (given === undefined || key === undefined) throw invalidCiphertext();
    const bound = boundData(name, given.version, associatedData);
    const nonce = given.sealed.subarray(0, XCHACHA_NONCE_BYTES);
    const plaintext = xchacha20Poly1305Open(key, nonce, bound, given.sealed.subarray(XCHACHA_NONCE_BYTES));
    key.fill(0);
    if (plaintext === undefined) throw invalidCiphertext();
    return plaintext;
  }

  /**
   * Adds a version to a key. Older ciphertexts still open; new ones are made with the new version.
   * @returns the new version.
   * @throws EvidenceError TRANSIT_KEY_NOT_FOUND; else as {@link encrypt}.
   */
  rotate(name: string): Promise<number> {
    return this.#changes.run('keys', async () => {
      const newest = await this.#newestVersion(name);
      if (newest === undefined) {
        throw new EvidenceError('TRANSIT_KEY_NOT_FOUND', `there is no key ${name}`, {
          field: 'key',
          hint: 'the first encryption makes it',
        });
      }
      return this.#make(name, newest + 1);
    });
  }

  #makeFirst(name: string): Promise<number> {
    return this.#changes.run(
      'keys',
      async () => (await this.#newestVersion(name)) ?? (await this.#make(name, 1)),
    );
  }

  async #make(name: string, version: number): Promise<number> {
    const namespace = await this.#store.namespace(NAMESPACE);
    if (namespace.size >= this.#maxKeys || version > MAX_KEY_VERSION) {
      throw new ProblemError('TRANSIT_KEYS_FULL', 'this store has as many transit keys as it may have', {
        expected: `at most ${this.#maxKeys} versions of all keys together`,
        observed: `${namespace.size}`,
        hint: 'use a name that has a key already',
      });
    }
    const key = this.#random(KEY_BYTES);
    const record = concatBytes(Uint8Array.of(FORMAT), key);
    try {
      // Where the record is there already, its key is used and this one is lost.
      await namespace.putIfAbsent(recordName(name, version), record);
      return version;
    } finally {
      key.fill(0);
      record.fill(0);
    }
  }

  async #newestVersion(name: string): Promise<number | undefined> {
    const namespace = await this.#present();
    for (const found of namespace?.names({ prefix: `${name}/`, reverse: true, limit: 1 }) ?? [])
      return Number(found.slice(name.length + 1));
    return undefined;
  }

  /** 32 bytes, which the caller wipes. */
  async #key(name: string, version: number): Promise<Uint8Array | undefined> {
    const record = await (await this.#present())?.get(recordName(name, version));
    if (record === undefined) return undefined;
    if (record.length !== 1 + KEY_BYTES || record[0] !== FORMAT)
      throw damaged(name, version, 'has another form');
    return record.subarray(1);
  }

  /** Opening a namespace makes it, which a store that may not be written refuses. */
  async #present(): Promise<Namespace | undefined> {
    return this.#store.hasNamespace(NAMESPACE) ? this.#store.namespace(NAMESPACE) : undefined;
  }
}

const recordName = (name: string, version: number): string =>
  `${name}/${`${version}`.padStart(VERSION_DIGITS, '0')}`;

const invalidCiphertext = (): EvidenceError =>
  new EvidenceError('TRANSIT_CIPHERTEXT_INVALID', 'no key of this name in this store opens the ciphertext', {
    field: 'ciphertext',
    expected: 'vault:vVERSION:BASE64 as this store made it, with the same key name and associated data',
    hint: 'each node has keys of its own: ask the node that encrypted it',
  });

const damaged = (name: string, version: number, what: string): ProblemError =>
  new ProblemError('STORE_RECORD_DAMAGED', `version ${version} of the transit key ${name} ${what}`);
