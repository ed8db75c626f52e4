import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { equalBytes } from '../../../src/bytes/concat.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { loadInstrumented } from '../../support/instrumented.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';
import { WholeTrace } from '../../support/whole-trace.ts';

const pathOf = (name: string) => fileURLToPath(new URL(`../../../src/bytes/${name}`, import.meta.url));
const SECRET_BYTES = 32;
const secretAt = (run: number): Uint8Array =>
  run < 2 ? new Uint8Array(SECRET_BYTES).fill(-run) : seededBytes(run, SECRET_BYTES);

/** The module under observation. @param changes text of its source, and what stands there instead. */
function hexProgram(trace: WholeTrace, changes: Readonly<Record<string, string>> = {}) {
  const edit = (source: string) =>
    Object.entries(changes).reduce((text, [old, changed]) => {
      const edited = text.replace(old, () => changed);
      if (edited === text) throw new Error(`the module has no ${old}`);
      return edited;
    }, source);
  type Exports = typeof import('../../../src/bytes/secret-hex.ts');
  return loadInstrumented<Exports>(
    {
      modules: { entry: pathOf('secret-hex.ts'), './byte-at.ts': pathOf('byte-at.ts') },
      given: {
        './secret-bytes.ts': { SecretBytes: { adopt: (bytes: Uint8Array) => ({ reveal: () => bytes }) } },
      },
      edit,
    },
    'entry',
    trace,
  );
}

/** Different traces of writing secrets as hex: zeros, ones, then seeded ones. */
function tracesOfWriting(trace: WholeTrace, changes: Readonly<Record<string, string>>, count: number) {
  const { hexAscii } = hexProgram(trace, changes);
  const seen = new Set<string>();
  for (let run = 0; run < count; run++) {
    const digits = hexAscii(secretAt(run));
    if (Buffer.from(digits).toString('latin1') !== toHex(secretAt(run))) throw new Error('not the hex of it');
    seen.add(trace.take());
  }
  return seen;
}

/** Different traces of reading secrets out of JSON. */
function tracesOfReading(trace: WholeTrace, changes: Readonly<Record<string, string>>, count: number) {
  const { takeSecret } = hexProgram(trace, changes);
  const seen = new Set<string>();
  for (let run = 0; run < count; run++) {
    const secret = secretAt(run);
    const read = takeSecret(Buffer.from(`{"a":1,"key":"0x${toHex(secret)}"}`), 'key');
    if (read === undefined || !equalBytes(read.reveal(), secret)) throw new Error('not the secret');
    seen.add(trace.take());
  }
  return seen;
}

const digit = 'const hexDigit = (value: number): number => value + 0x30 + (((9 - value) >> 31) & 0x27);';
const nibble = 'Uint8Array.from(digits, nibbleOf)';

const cases = [...'0123456789abcde'].map((one, v) => `case ${v}: return ${one.codePointAt(0)};`).join(' ');

/** Ways of writing a digit that a host can see: each is a construct that the instruments have to know. */
const leakingDigits: Readonly<Record<string, string>> = {
  'a table': "const TABLE = [...'0123456789abcdef']; const hexDigit = (v) => TABLE[v].charCodeAt(0);",
  'a table that may be missing':
    "const TABLE = [...'0123456789abcdef']; const hexDigit = (v) => TABLE?.[v].charCodeAt(0);",
  'a string': "const hexDigit = (v) => '0123456789abcdef'.charCodeAt(v);",
  'a method of a table':
    "const TABLE = Buffer.from('0123456789abcdef'); const hexDigit = (v) => TABLE.at(v);",
  'a map':
    'const MAP = new Map(Array.from({ length: 16 }, (_, v) => [v, v + (v > 9 ? 0x57 : 0x30)])); const hexDigit = (v) => MAP.get(v);',
  'a switch': `const hexDigit = (v) => { switch (v) { ${cases} default: return 0x66; } };`,
  'a condition': 'const hexDigit = (v) => (v > 9 ? 0x57 : 0x30) + v;',
  '`??`':
    'const GAPS = { 10: 39, 11: 39, 12: 39, 13: 39, 14: 39, 15: 39 }; const hexDigit = (v) => 0x30 + v + (Reflect.get(GAPS, v) ?? 0);',
  '`?.`':
    'const GAP = { gap: 39 }; const GAPS = { 10: GAP, 11: GAP, 12: GAP, 13: GAP, 14: GAP, 15: GAP }; const hexDigit = (v) => 0x30 + v + (0 | Reflect.get(GAPS, v)?.gap);',
  '`in`':
    'const GAPS = { 10: 1, 11: 1, 12: 1, 13: 1, 14: 1, 15: 1 }; const hexDigit = (v) => 0x30 + v + 39 * Number(v in GAPS);',
  'a loop with `do`':
    'const hexDigit = (v) => { let left = v; let d = 0x2f; do d++; while (left-- > 0); return d + (((9 - v) >> 31) & 0x27); };',
  'a loop over a list':
    'const hexDigit = (v) => { let d = 0x30; for (const _ of Array(v)) d++; return d + (((9 - v) >> 31) & 0x27); };',
  'a number that needs memory':
    'const hexDigit = (v) => (-(v * 2 ** 29) / -(2 ** 29)) + 0x30 + (((9 - v) >> 31) & 0x27);',
};

describe('hex of a secret, as a host sees it', () => {
  it('is written by one sequence of operations for 10,000 secrets, all on small integers', {
    timeout: 300_000,
  }, () => {
    const trace = new WholeTrace();
    const seen = tracesOfWriting(trace, {}, 10_000);
    expect(seen.size).toBe(1);
    expect(trace.largeNumbers).toBe(0);
    // The instruments are at work: each digit takes five operations.
    expect(Number.parseInt([...seen].join(), 10)).toBeGreaterThan(5 * 2 * SECRET_BYTES);
  });

  it('is read by one sequence of operations for 10,000 secrets, all on small integers', {
    timeout: 300_000,
  }, () => {
    const trace = new WholeTrace();
    const seen = tracesOfReading(trace, {}, 10_000);
    expect(seen.size).toBe(1);
    expect(trace.largeNumbers).toBe(0);
    expect(Number.parseInt([...seen].join(), 10)).toBeGreaterThan(5 * 2 * SECRET_BYTES);
  });

  it.each(Object.keys(leakingDigits))('a digit by %s is seen', (how) => {
    const trace = new WholeTrace();
    expect(tracesOfWriting(trace, { [digit]: leakingDigits[how] ?? '' }, 20).size).toBe(20);
  });

  it('a table of the values of digits is seen', () => {
    const table = '((T) => Uint8Array.from(digits, (d) => T[d]))([...Array(128)].map((_, d) => nibbleOf(d)))';
    expect(tracesOfReading(new WholeTrace(), { [nibble]: table }, 20).size).toBe(20);
  });

  it.each(['left &&= value', 'left ??= value', 'left ||= value'])(
    '`%s` is refused: it would not be seen',
    (text) => {
      const changed = `const hexDigit = (value) => { let left; ${text}; return left; };`;
      expect(() => hexProgram(new WholeTrace(), { [digit]: changed })).toThrow(SyntaxError);
    },
  );
});
