import { describe, expect, it } from 'vitest';
import { actionOn, errorActions } from '../../../scripts/error-actions.ts';
import type { CodeEntry } from '../../../src/errors/codes/code-entry.ts';
import { errorCodes } from '../../../src/errors/codes.ts';

const entries: readonly (readonly [string, CodeEntry])[] = Object.entries(errorCodes);

describe('the table of error codes', () => {
  it('says of every code what it means and what to do, once', () => {
    const places = errorActions.flatMap(([, codes]) => codes);
    // A code that is new: add it to a line of scripts/error-actions.ts, or make a line for it.
    expect(entries.filter(([code]) => !places.some((each) => each === code)).map(([code]) => code)).toEqual(
      [],
    );
    expect(places.filter((code, at) => places.indexOf(code) !== at)).toEqual([]);
    for (const [code, { summary }] of entries) {
      expect(summary, code).toMatch(/^[A-Z].{10,}\.$/s);
      expect(actionOn(code), code).toMatch(/^[A-Z].{10,}\.$/s);
    }
  });

  it('refuses a code of which nothing is said', () => {
    expect(() => actionOn('NO_SUCH_CODE')).toThrow(TypeError);
  });
});
