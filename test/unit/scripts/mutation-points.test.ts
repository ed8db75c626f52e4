import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { readReasons, reportOf, type Tried } from '../../../scripts/mutate-report.ts';
import { mutate, mutationsOf } from '../../../scripts/mutation-points.ts';

/** Every text that the mutations of a source make of it. */
const mutants = (text: string): readonly string[] =>
  mutationsOf('sample.ts', text).map((mutation) => mutate(text, mutation));

describe('mutations', () => {
  it.each([
    ['if (a) b();', ['if (true) b();', 'if (false) b();']],
    ['x = a ? b : c;', ['x = true ? b : c;', 'x = false ? b : c;']],
    ['x = a && b;', ['x = (a);', 'x = (b);']],
    ['x = a || b;', ['x = (a);', 'x = (b);']],
    ['x = a < 1;', ['x = (a <= 1);']],
    ['x = a <= 1;', ['x = (a < 1);']],
    ['x = a > 1;', ['x = (a >= 1);']],
    ['x = a >= 1;', ['x = (a > 1);']],
    ['x = equalBytes(a, b);', ['x = true;']],
    ['x = equalConstantTime(a, b);', ['x = true;']],
    ['requireFresh(a);', [';']],
    ['this.#requireFresh(a);', [';']],
    ['await judge.judgeMachine(a);', [';']],
    ['store(a);', []],
    ['const b = judge(a);', []],
    ['x = a + b;', []],
  ])('%s', (text, expected) => {
    expect(mutants(text)).toEqual(expected);
  });

  it('reach nested operands, and name the line', () => {
    const text = 'f();\nif (a && (b || c)) d();';
    expect(mutants(text)).toHaveLength(2 + 2 + 2);
    expect(mutationsOf('sample.ts', text).every(({ line }) => line === 2)).toBe(true);
  });

  it('are valid programs', () => {
    const text =
      'const f = (a: number) => (a > 1 && a < 9 ? equalBytes(a, a) : !a);\nif (f(1)) requireAll();';
    for (const mutant of mutants(text)) {
      const { diagnostics = [] } = ts.transpileModule(mutant, { reportDiagnostics: true });
      expect(diagnostics.map(({ messageText }) => messageText)).toEqual([]);
    }
  });
});

describe('the report', () => {
  const tried: readonly Tried[] = mutationsOf('src/a.ts', 'if (a || b) c();').map((mutation, index) => ({
    file: 'src/a.ts',
    mutation,
    isNoticed: index >= 2,
  }));

  it('counts and lists survivors, and keeps the reasons that were written on the page', () => {
    const first = reportOf('a', 9, tried, new Map());
    expect(first.unexplained).toHaveLength(2);
    expect(first.text).toContain('9 mutations, 5 not tried yet; 2 of 4 tried mutations noticed');
    const withReason = first.text.replace(/ {2}\|$/m, ' the same either way |');
    const second = reportOf('a', 9, tried, readReasons(withReason));
    expect(second.unexplained).toHaveLength(1);
    expect(second.text).toContain('| the same either way |');
  });
});
