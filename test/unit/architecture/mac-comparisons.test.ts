import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { filesBelow } from './import-circles.ts';
import { hastyMacComparisons } from './mac-comparisons.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

it('MACs and derived keys are compared in constant time', { timeout: 120_000 }, () => {
  const files = filesBelow(`${root}src`);
  expect(files.length).toBeGreaterThan(500);
  const texts = files.map((path) => ({ name: relative(root, path), text: readFileSync(path, 'utf8') }));
  expect(hastyMacComparisons(texts)).toEqual([]);
});

const maker = {
  name: 'maker.ts',
  text: 'export const seal = (k) => { const m = hmacSha256(k); return m; };',
};

it.each([
  'equalBytes(a, hmacSha256(key, text))',
  'equalBytes(hmacSha256(key).subarray(0, 8), a)',
  'equalBytes(a, copyBytes(hmacSha256(key)))',
  'const b = Mac.of(hmacSha256(key)); equalBytes(a, b)',
  'const mark = (k) => hmacSha256(k).subarray(0, 8); equalBytes(a, mark(key))',
  'class A { #m(k) { const x = hmacSha256(k); return x.subarray(1); } is(a) { return equalBytes(a, this.#m(1)); } }',
  'function f(k) { return k ? hmacSha256(k) : undefined; } equalBytes(a, f(key) ?? b)',
  'equalBytes(a, seal(key))',
  'compareBytes(a, seal(key)) === 0',
  'Buffer.compare(seal(key), a) === 0',
  'equalBytes(request.mac, a)',
  'equalBytes(bytes.subarray(MAC_AT), a)',
  'equalBytes(expected.headerMac, a)',
])('the check itself finds: %s', (text) => {
  expect(hastyMacComparisons([maker, { name: 'a.ts', text }])).toEqual(['a.ts:1']);
});

it.each([
  'equalConstantTime(a, seal(key))',
  'equalBytes(account, other)',
  'equalBytes(machine, macro)',
  'function f(k) { const b = seal(k); } function g(b) { equalBytes(a, b); }',
  'const f = (k) => { g(() => hmacSha256(k)); return k; }; equalBytes(a, f(key))',
])('the check itself lets pass: %s', (text) => {
  expect(hastyMacComparisons([maker, { name: 'a.ts', text }])).toEqual([]);
});
