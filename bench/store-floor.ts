import { readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { hmacSha256 } from '../src/crypto/hkdf.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { XChaCha20Key } from '../src/crypto/xchacha20-key.ts';
import { XCHACHA_NONCE_BYTES, XCHACHA_TAG_BYTES } from '../src/crypto/xchacha20-poly1305.ts';
import { nameOf } from './store-cases.ts';

const CHUNK_RECORDS = 512;
const NOTHING = new Uint8Array(40);

/**
 * The floor of opening: a file of as many sealed records is read, one MAC is checked for each chunk, each record is
 * decrypted, and its name and place go into a Map. Nothing that opens such a log can do less.
 */
export class OpenFloor {
  readonly #path: string;
  readonly #records: number;
  readonly #sealedBytes: number;
  readonly #cipher = new XChaCha20Key(systemRandom(32));
  readonly #macKey = systemRandom(32);

  private constructor(path: string, records: number, valueBytes: number) {
    this.#path = path;
    this.#records = records;
    this.#sealedBytes = XCHACHA_NONCE_BYTES + nameOf(0).length + valueBytes + XCHACHA_TAG_BYTES;
  }

  /** Writes the file. */
  static async write(path: string, records: number, valueBytes: number): Promise<OpenFloor> {
    const floor = new OpenFloor(path, records, valueBytes);
    await floor.#write(systemRandom(valueBytes));
    return floor;
  }

  async #write(value: Uint8Array): Promise<void> {
    const file = await open(this.#path, 'w');
    for (let from = 0; from < this.#records; from += CHUNK_RECORDS) {
      const chunk = Buffer.alloc(Math.min(CHUNK_RECORDS, this.#records - from) * this.#sealedBytes);
      for (let index = 0; index * this.#sealedBytes < chunk.length; index++) {
        const plaintext = Buffer.concat([Buffer.from(nameOf(from + index)), value]);
        const nonce = systemRandom(XCHACHA_NONCE_BYTES);
        this.#cipher.sealInto(chunk, index * this.#sealedBytes, nonce, NOTHING, plaintext);
      }
      await file.appendFile(chunk);
    }
    await file.close();
  }

  /** Milliseconds of one pass over the file. */
  async openMs(): Promise<number> {
    const file = await open(this.#path, 'r');
    const index = new Map<string, number>();
    const nameBytes = nameOf(0).length;
    const chunk = Buffer.alloc(CHUNK_RECORDS * this.#sealedBytes);
    const start = performance.now();
    for (let position = 0; ; position += chunk.length) {
      const read = readSync(file.fd, chunk, 0, chunk.length, position);
      if (read === 0) break;
      hmacSha256(this.#macKey, chunk.subarray(0, read));
      for (let at = 0; at < read; at += this.#sealedBytes) {
        const plaintext = this.#cipher.open(chunk.subarray(at, at + this.#sealedBytes), NOTHING);
        if (plaintext === undefined) throw new Error('the floor did not decrypt');
        index.set(Buffer.from(plaintext.buffer, plaintext.byteOffset, nameBytes).toString(), position + at);
      }
    }
    const elapsed = performance.now() - start;
    await file.close();
    if (index.size !== this.#records) throw new Error(`the floor found ${index.size} of ${this.#records}`);
    return elapsed;
  }
}
