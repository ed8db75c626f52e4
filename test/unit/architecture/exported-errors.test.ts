import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { entryErrors } from '../../support/documented-throws.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(root, 'src', name), 'utf8'));
const classes = new Set(
  source.flatMap((text) =>
    [...text.matchAll(/^export (?:abstract )?class (\w+) extends \w*Error\b/gm)].map(
      ([, name]) => name ?? '',
    ),
  ),
);
const { exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, { readonly types: string }>>;
};
const cases = Object.entries(entries).map(([name, { types }]) => ({
  name,
  ...entryErrors(join(root, types.replace(/^\.\/dist\//, '').replace(/\.d\.ts$/, '.ts')), classes),
}));

describe('the error classes of an entry of the package', () => {
  it.each(cases)('$name exports each class that its documentation throws', ({ exported, thrown }) => {
    expect([...thrown].filter(([name]) => !exported.has(name))).toEqual([]);
  });

  it.each(cases)('$name exports the base class and its three families', ({ exported }) => {
    const families = ['LatchkeyError', 'EvidenceError', 'RefusalError', 'ProblemError'];
    expect(families.filter((name) => !exported.has(name))).toEqual([]);
  });

  it('the test itself reads entries, exports of other files, and members of classes', () => {
    expect(cases.length).toBeGreaterThanOrEqual(9);
    expect([...classes]).toEqual(expect.arrayContaining(['LatchkeyError', 'EvidenceError', 'PeerError']));
    const thrownBy = (entry: string) => cases.find(({ name }) => name === entry)?.thrown;
    expect(thrownBy('./client')?.get('PeerError')).toContain('KeyClient');
    expect(thrownBy('./secrets')?.get('NodeRefusal')).toContain('NodeExchange');
    expect(thrownBy('./tdx')?.get('EvidenceError')).toContain('parseHexQuote');
  });
});
