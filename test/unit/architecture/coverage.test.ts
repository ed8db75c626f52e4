import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { testTitles } from '../../support/test-titles.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const page = readFileSync(join(root, 'docs/coverage.md'), 'utf8');
const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.test.ts'),
);

/** `| R4 many rituals | \`fragments\` R4; \`rituals\` R4 | remarks |`; the remarks may hold anything. */
const rows = [...page.matchAll(/^\| ([A-Z])(\d+)(?:–[A-Z](\d+))? [^|]*\| ([^|]+) \|/gm)].map(
  ([, letter = '', first = '', last = first, where = '']) => ({
    row: `${letter}${first}`,
    /** Every row of a range, such as D1–D10. */
    tokens: Array.from(
      { length: Number(last) - Number(first) + 1 },
      (_, at) => `${letter}${Number(first) + at}`,
    ),
    /** Test files that the row names, each with the rows that it shows there. */
    places: placesOf(where),
  }),
);

/** `\`cuts\` D1, D2` shows D1 and D2; without rows behind it, a file shows all rows of its line. Scripts have a dot. */
function placesOf(where: string): readonly { readonly name: string; readonly shown: readonly string[] }[] {
  return [...where.matchAll(/`([\w/-]+)`((?:(?:,| to)? ?\b[A-Z]\d+\b)*)/g)].map(
    ([, name = '', behind = '']) => ({ name, shown: behind.match(/[A-Z]\d+/g) ?? [] }),
  );
}

const filesOf = (name: string): readonly string[] =>
  tests.filter((file) => `/${file}`.endsWith(`/${name}.test.ts`));

/** Whether the one file of this name has a title, or a table row that becomes a part of one, with the row. */
function shows(name: string, row: string): boolean {
  const [file, ...others] = filesOf(name);
  if (file === undefined || others.length > 0) return false;
  const word = new RegExp(`\\b${row}\\b`);
  return testTitles(readFileSync(join(root, 'test', file), 'utf8')).some((title) => word.test(title));
}

describe('docs/coverage.md', () => {
  it('has its rows', () => {
    expect(rows.length).toBeGreaterThan(35);
    expect(rows.filter(({ places }) => places.length === 0)).toEqual([]);
  });

  it('names each file so that no other one has the name', () => {
    const names = new Set(rows.flatMap(({ places }) => places.map(({ name }) => name)));
    expect([...names].filter((name) => filesOf(name).length !== 1)).toEqual([]);
  });

  it.each(rows)('$row is in titles of all tests that it names', ({ tokens, places }) => {
    const missing = places.flatMap(({ name, shown }) =>
      (shown.length === 0 ? tokens : shown).filter((row) => !shows(name, row)).map((row) => `${name} ${row}`),
    );
    expect(missing).toEqual([]);
  });

  it.each(rows)('every row of the line of $row is shown by a file', ({ tokens, places }) => {
    const unshown = tokens.filter((row) => !places.some(({ name }) => shows(name, row)));
    expect(unshown).toEqual([]);
  });

  it('the check itself finds a test that is not there', () => {
    expect(shows('journal', 'E2')).toBe(true);
    expect(shows('journal', 'E99')).toBe(false);
    expect(shows('no-such-test', 'E2')).toBe(false);
  });

  it('the check itself takes titles and rows of tables, and neither comments nor what a test does', () => {
    const text = `
      // E1 in a comment
      const E2 = 'E3';
      const table = [['E4', () => 'E5']];
      it.each(table)('%s', () => expect('E6').toBe(E2));
      it.each([['E7']])('fixed', () => undefined);
      describe.skipIf(true)(\`E8 \${E2}\`, () => { it('E9', () => call('E10')); });`;
    const titles = testTitles(text).join(' ');
    expect(titles.match(/E\d+/g)).toEqual(['E4', 'E8', 'E9']);
  });
});
