import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../../../src/', import.meta.url));
const script = fileURLToPath(new URL('../../support/allocation/measure.mjs', import.meta.url));
const subjects = [
  'split',
  'combine',
  'hchacha20',
  'xchacha20Seal',
  'xchacha20Open',
  'xchacha20First',
  'xchacha20Functions',
  'hexWritten',
  'hexRead',
] as const;

/** No garbage collection by itself between two readings of the heap's size. */
const heapFlags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];
const timeout = 300_000;

/**
 * In how many of the 100 rounds of six calls the secrets may differ at most. Without the optimizer in none, so that a leak
 * at one call of hundreds is found. V8 optimizes between two readings now and then. Where each call makes a cipher of
 * OpenSSL, an array of the engine grows in every 17th round, whatever the secret. V8 13 (Node.js 24) reads 16 bytes less
 * once in some thousand readings, at any subject.
 */
const mostDiffering = (subject: string, flags: readonly string[]): number =>
  (subject === 'xchacha20Functions' ? 8 : 0) + (flags.length === 0 ? 8 : ODD_READINGS);

const ODD_READINGS = Number.parseInt(process.versions.v8, 10) < 12 ? 0 : 1;

/** More than any subject: the one that leaks at times does so in 20 rounds. */
const LEAST_OF_CONTROL = 17;

let folder = '';

/** V8's flags are for plain JavaScript, without a loader that compiles: the room is compiled before. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-allocation-'));
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const files = (await readdir(join(src, 'crypto'))).map((name) => join('crypto', name));
  for (const room of ['crypto', 'bytes']) await mkdir(join(folder, room));
  const bytes = ['copy-bytes.ts', 'byte-at.ts', 'secret-bytes.ts', 'secret-hex.ts'];
  for (const name of [...files, ...bytes.map((file) => join('bytes', file))]) {
    const { outputText } = ts.transpileModule(await readFile(join(src, name), 'utf8'), {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        rewriteRelativeImportExtensions: true,
      },
    });
    await writeFile(join(folder, name.replace(/\.ts$/, '.js')), outputText);
  }
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function run(
  flags: readonly string[],
  mode: 'allocation' | 'deoptimization',
): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, folder, mode], {
    env: {},
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout.trimEnd().split('\n');
}

interface Measured {
  readonly bytes: { readonly zeros: number; readonly ones: number; readonly random: number };
  readonly differing: number;
}
type Measurement = Readonly<Record<string, Measured | undefined>>;

async function measure(flags: readonly string[]): Promise<Measurement> {
  const lines = await run([...heapFlags, ...flags], 'allocation');
  // Printed by our own script; the subjects are checked.
  return JSON.parse(lines.at(-1) ?? '') as Measurement;
}

const differs = (measured: Measurement, subject: string, flags: readonly string[]): boolean =>
  (measured[subject]?.differing ?? Number.POSITIVE_INFINITY) > mostDiffering(subject, flags);

describe('the memory that a call allocates does not depend on the secret', () => {
  it.each([
    ['the interpreter alone', ['--no-opt', '--no-sparkplug']],
    ['no code generation', ['--jitless']],
    ['the baseline compiler alone', ['--always-sparkplug', '--no-opt']],
    ['the default flags', []],
  ])('with %s', { timeout }, async (_, flags) => {
    const measured = await measure(flags);
    for (const subject of subjects) {
      const { bytes: { zeros = -1, ones, random } = {} } = measured[subject] ?? {};
      expect(zeros, subject).toBeGreaterThan(0);
      expect({ zeros, ones, random }, subject).toEqual({ zeros, ones: zeros, random: zeros });
    }
    const suspected = subjects.filter((subject) => differs(measured, subject, flags));
    // What the engine does between two readings on a busy machine does not come again in either of two more measurements.
    const again = suspected.length === 0 ? [] : [await measure(flags), await measure(flags)];
    for (const subject of suspected)
      expect(
        again.some((one) => differs(one, subject, flags)),
        subject,
      ).toBe(false);
    // The same bytes in words of 32 bits: the measurement finds them, also when they are there at times only.
    const { control, controlAtTimes } = measured;
    expect(control?.bytes.ones).toBeGreaterThan(control?.bytes.zeros ?? Infinity);
    expect(control?.bytes.random).toBeGreaterThan(control?.bytes.zeros ?? Infinity);
    expect(controlAtTimes?.differing).toBeGreaterThanOrEqual(LEAST_OF_CONTROL);
    expect(differs(measured, 'controlAtTimes', flags)).toBe(true);
  });
});

describe('code that was optimized for one secret', () => {
  it('is not deoptimized for another secret', { timeout }, async () => {
    // Compiling at once and not on another thread: what is optimized does not depend on the load of the machine.
    const lines = await run(['--trace-deopt', '--no-concurrent-recompilation'], 'deoptimization');
    const between = (subject: string): readonly string[] => {
      const [begin, end] = [lines.indexOf(`begin ${subject}`), lines.indexOf(`end ${subject}`)];
      expect(begin, subject).toBeGreaterThanOrEqual(0);
      expect(end, subject).toBeGreaterThan(begin);
      return lines.slice(begin, end).filter((line) => line.includes('deoptimizing'));
    };
    for (const subject of subjects) expect(between(subject), subject).toEqual([]);
    expect(between('control').join()).toContain('deoptimizing');
  });
});
