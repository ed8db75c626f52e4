import { randomBytes } from 'node:crypto';
import { plainBytes } from './plain-bytes.ts';

/** Source of random bytes, which the caller owns. It is always an argument, so that simulations can seed it. */
export type RandomSource = (length: number) => Uint8Array;

/** The operating system's generator, by OpenSSL. */
export const systemRandom: RandomSource = (length) => plainBytes(randomBytes(length));
