import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { type Reported, readReasons, reportOf } from '../../../scripts/mutate-report.ts';
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
  const outcomes = [true, true, false, false, undefined];
  const all: readonly Reported[] = mutationsOf('src/a.ts', 'if (a || b) c(d > 1);').map(
    (mutation, index) => ({
      file: 'src/a.ts',
      mutation,
      isNoticed: outcomes[index],
    }),
  );
  const first = reportOf('a', all, new Map());

  it('counts and lists survivors, and keeps the reasons that were written on the page', () => {
    expect(first.unexplained).toHaveLength(2);
    expect(first.text).toContain('5 mutations, 1 not tried yet; 2 of 4 tried mutations noticed, 2 kinds');
    const withReason = first.text.replace(/ {2}\|$/m, ' the same either way |');
    const second = reportOf('a', all, readReasons(withReason));
    expect(second.unexplained).toHaveLength(1);
    expect(second.text).toContain('| the same either way |');
  });

  it('keeps a reason while a mutation waits to be tried again', () => {
    const withReason = first.text.replace(/ {2}\|$/m, ' the same either way |');
    const open = all.map((one) => ({ ...one, isNoticed: undefined }));
    const second = reportOf('a', open, readReasons(withReason));
    expect(second.text).toContain('5 not tried yet; 0 of 0 tried mutations noticed, 0 kinds');
    expect(second.text.match(/^\| `.*/gm)).toEqual([expect.stringContaining('the same either way')]);
  });
});
