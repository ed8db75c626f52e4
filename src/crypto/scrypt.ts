import { scrypt as nodeScrypt } from 'node:crypto';
import { plainBytes } from './plain-bytes.ts';

/** Cost of scrypt (RFC 7914 section 2). */
export interface ScryptCost {
  /** log2 of N. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** Derives 32 bytes from a password (RFC 7914) on the thread pool. */
export function scrypt(
  password: Uint8Array,
  salt: Uint8Array,
  { logN, r, p }: ScryptCost,
): Promise<Uint8Array> {
  const N = 2 ** logN;
  return new Promise((resolve, reject) => {
    nodeScrypt(password, salt, 32, { N, r, p, maxmem: 128 * N * r * 2 }, (error, key) => {
      if (error === null) resolve(plainBytes(key));
      else reject(error);
    });
  });
}
