import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const page = readFileSync(join(root, 'docs/coverage.md'), 'utf8');
const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.test.ts'),
);

/** `| R4 many rituals | \`fragments\` R4; \`cuts\` R4 | remarks |`; the remarks may hold anything. */
const rows = [...page.matchAll(/^\| ([A-Z]\d+(?:–[A-Z]\d+)?) [^|]*\| ([^|]+) \|/gm)].map((match) => ({
  row: match[1] ?? '',
  /** Test files that the row names, without scripts. */
  names: [...(match[2] ?? '').matchAll(/`([\w/-]+)`/g)].map((name) => name[1] ?? ''),
}));

/** A file of this name whose titles contain the row; `cuts` has several files. */
function shows(name: string, row: string): boolean {
  const files = tests.filter((file) => `/${file}`.endsWith(`${name === 'cuts' ? '' : '/'}${name}.test.ts`));
  const [first = ''] = row.split('–');
  return files.some((file) =>
    new RegExp(`\\b${first}\\b`).test(readFileSync(join(root, 'test', file), 'utf8')),
  );
}

describe('docs/coverage.md', () => {
  it('has its rows', () => {
    expect(rows.length).toBeGreaterThan(35);
    expect(rows.filter(({ names }) => names.length === 0)).toEqual([]);
  });

  it.each(rows)('$row is in the tests that it names', ({ row, names }) => {
    expect(names.filter((name) => !shows(name, row))).toEqual([]);
  });

  it('the check itself finds a test that is not there', () => {
    expect(shows('journal', 'E2')).toBe(true);
    expect(shows('journal', 'E99')).toBe(false);
    expect(shows('no-such-test', 'E2')).toBe(false);
  });
});
