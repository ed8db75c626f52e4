import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { mutationsOf } from '../../../scripts/mutation-points.ts';
import { placeOf, recordingReach } from '../../../scripts/mutation-reach.ts';

/** The source texts of the places that a run of the source reaches. */
function reachedBy(text: string, values: Readonly<Record<string, unknown>> = {}): readonly string[] {
  const reached = new Set<string>();
  runInNewContext(recordingReach('a.ts', text), {
    ...values,
    __reach: (place: string) => reached.add(place),
  });
  const places = new Map(
    mutationsOf('a.ts', text).map((mutation) => [placeOf('a.ts', mutation), mutation.original]),
  );
  return [...reached].map((place) => places.get(place) ?? `no place: ${place}`);
}

describe('a source that records what it reaches', () => {
  it('names conditions that are evaluated, and no others', () => {
    const text = 'if (a) { if (b) x(); } else if (c) x();';
    expect(reachedBy(text, { a: false, b: true, c: false })).toEqual(['a', 'c']);
    expect(reachedBy(text, { a: true, b: false, c: true })).toEqual(['a', 'b']);
  });

  it('names nested operands that are evaluated', () => {
    const text = 'x = a > 1 && (b < 2 || c >= 3) ? 1 : 2;';
    expect(reachedBy(text, { a: 1, b: 0, c: 0 })).toEqual(['a > 1 && (b < 2 || c >= 3)', 'a > 1']);
    expect(reachedBy(text, { a: 2, b: 0, c: 0 })).not.toContain('c >= 3');
    expect(reachedBy(text, { a: 2, b: 2, c: 0 })).toContain('c >= 3');
  });

  it('names statements that check, also those without braces', () => {
    const values = { a: true, requireA: () => undefined };
    expect(reachedBy('if (a) requireA(); else requireA(1);', values)).toEqual(['a', 'requireA();']);
  });
});
