import { randomBytes } from 'node:crypto';

/** Source of random bytes; an argument everywhere, so that simulations can seed it. */
export type RandomSource = (length: number) => Uint8Array;

/** The operating system's generator, by OpenSSL. */
export const systemRandom: RandomSource = (length) => new Uint8Array(randomBytes(length));
