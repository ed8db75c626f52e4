import { readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { hmacSha256 } from '../src/crypto/hkdf.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { XChaCha20Key } from '../src/crypto/xchacha20-key.ts';
import { XCHACHA_NONCE_BYTES, XCHACHA_TAG_BYTES } from '../src/crypto/xchacha20-poly1305.ts';
import { nameOf } from './store-cases.ts';

const CHUNK_RECORDS = 512;

/**
 * The floor of opening: reads a file of as many sealed records, checks one MAC per chunk, decrypts each record and
 * puts its name and place into a Map. Nothing that opens such a log can do less.
 * @returns milliseconds of the reading pass.
 */
export async function openFloorMs(path: string, records: number, valueBytes: number): Promise<number> {
  const cipher = new XChaCha20Key(systemRandom(32));
  const macKey = systemRandom(32);
  const nothing = new Uint8Array(40);
  const sealedBytes = XCHACHA_NONCE_BYTES + nameOf(0).length + valueBytes + XCHACHA_TAG_BYTES;
  const value = systemRandom(valueBytes);
  const file = await open(path, 'w+');
  for (let from = 0; from < records; from += CHUNK_RECORDS) {
    const chunk = Buffer.alloc(Math.min(CHUNK_RECORDS, records - from) * sealedBytes);
    for (let index = 0; index * sealedBytes < chunk.length; index++) {
      const plaintext = Buffer.concat([Buffer.from(nameOf(from + index)), value]);
      cipher.sealInto(chunk, index * sealedBytes, systemRandom(XCHACHA_NONCE_BYTES), nothing, plaintext);
    }
    await file.appendFile(chunk);
  }

  const index = new Map<string, number>();
  const nameBytes = nameOf(0).length;
  const chunk = Buffer.alloc(CHUNK_RECORDS * sealedBytes);
  const start = performance.now();
  for (let position = 0; ; position += chunk.length) {
    const read = readSync(file.fd, chunk, 0, chunk.length, position);
    if (read === 0) break;
    hmacSha256(macKey, chunk.subarray(0, read));
    for (let at = 0; at < read; at += sealedBytes) {
      const plaintext = cipher.open(chunk.subarray(at, at + sealedBytes), nothing);
      if (plaintext === undefined) throw new Error('the floor did not decrypt');
      index.set(Buffer.from(plaintext.buffer, plaintext.byteOffset, nameBytes).toString(), position + at);
    }
  }
  const elapsed = performance.now() - start;
  await file.close();
  if (index.size !== records) throw new Error(`the floor found ${index.size} of ${records} records`);
  return elapsed;
}
