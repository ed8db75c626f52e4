import { randomBytes } from 'node:crypto';
import { plainBytes } from './plain-bytes.ts';

/** Source of random bytes; an argument everywhere, so that simulations can seed it. The result belongs to the caller. */
export type RandomSource = (length: number) => Uint8Array;

/** The operating system's generator, by OpenSSL. */
export const systemRandom: RandomSource = (length) => plainBytes(randomBytes(length));
