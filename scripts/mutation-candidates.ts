import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../src/crypto/sha2.ts';
import { type Mutation, mutationsOf } from './mutation-points.ts';

/** A mutation that can be tried. */
export interface Candidate {
  /** Relative to the project. */
  readonly file: string;
  readonly text: string;
  readonly mutation: Mutation;
  /** Names the mutation and the text that it changes. */
  readonly id: string;
}

const ID_DIGITS = 16;

/** All mutations of a room, by file and place. */
export function candidatesOf(room: string): readonly Candidate[] {
  const files = readdirSync(join('src', room), { recursive: true, encoding: 'utf8' });
  return files
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .flatMap((name) => {
      const file = join('src', room, name);
      const text = readFileSync(file, 'utf8');
      return mutationsOf(file, text).map((mutation) => {
        const { start, end, replacement } = mutation;
        const named = JSON.stringify([file, text, start, end, replacement]);
        return { file, text, mutation, id: sha256Hex(new TextEncoder().encode(named)).slice(0, ID_DIGITS) };
      });
    });
}

/** Picks `count` of the values; the same ones for the same seed (xorshift32). */
export function sampleOf<T>(all: readonly T[], count: number, seed: number): readonly T[] {
  let state = seed | 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return [...all]
    .map((value) => ({ value, at: next() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, count)
    .map(({ value }) => value);
}
