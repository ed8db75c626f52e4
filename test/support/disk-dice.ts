/** Repeatable chance for simulations: the same seed gives the same run. */
export interface Dice {
  /** From 0 up to but not including 1. */
  next(): number;
  /** An integer from 0 up to but not including `limit`. */
  below(limit: number): number;
  chance(probability: number): boolean;
  bytes(length: number): Uint8Array;
  pick<T>(choices: readonly [T, ...T[]]): T;
}

/** Mulberry32: small, fast and good enough for tests; never for keys. */
export function seededDice(seed: number): Dice {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    bytes: (length) => {
      const bytes = new Uint8Array(length);
      for (let index = 0; index < length; index++) bytes[index] = below(256);
      return bytes;
    },
    pick: (choices) => choices[below(choices.length)] ?? choices[0],
  };
}
