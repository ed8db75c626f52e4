import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Candidate, candidatesOf } from '../../../scripts/mutation-candidates.ts';
import { RoomTests } from '../../../scripts/mutation-tests.ts';

const LONG = 600_000;
const tests = new RoomTests(['test/unit/trust/time', 'test/unit/bytes/fixed-bytes']);
beforeAll(() => tests.plan(['src/trust/time.ts', 'src/bytes/hex.ts']), LONG);
afterAll(() => tests.stop());

/** A mutation of a file, by the line of its source and its replacement. */
function mutation(room: string, original: string, replacement: string): Candidate {
  const found = candidatesOf(room).find(
    (candidate) => candidate.mutation.original === original && candidate.mutation.replacement === replacement,
  );
  if (found === undefined) throw new TypeError(`no mutation of ${original}`);
  return found;
}

/** The same mutation, which changes nothing. */
const unchanged = (candidate: Candidate): Candidate => ({
  ...candidate,
  mutation: { ...candidate.mutation, replacement: candidate.mutation.original },
});

it('a mutation is noticed by the test that reaches it, and the next ones are judged for themselves', {
  timeout: LONG,
}, async () => {
  const ofTime = mutation('trust', 'windows.length === 0', 'false');
  const ofHex = mutation('bytes', 'bytes?.length === byteLength', 'true');
  expect(await tests.try(ofTime)).toEqual({ noticedBy: 'test/unit/trust/time.test.ts' });
  // The tests of the other file only: what failed before does not count.
  expect(await tests.try(unchanged(ofHex))).toBe('survived');
  expect(await tests.try(unchanged(ofTime))).toBe('survived');
  expect(await tests.tryOnly(ofTime, 'test/unit/trust/time.test.ts')).toEqual({
    noticedBy: 'test/unit/trust/time.test.ts',
  });
  expect(await tests.control()).toBe(true);
});
