import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const page = readFileSync(join(root, 'docs/glossary.md'), 'utf8');

/** `| term | code names | file | meaning |`; a term without code has a dash for names and file. */
const rows = [...page.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)]
  .map((match) => match.slice(1, 5).map((cell) => cell.trim()))
  .filter(([term]) => term !== 'term' && !/^-+$/.test(term ?? ''))
  .map(([term = '', names = '', file = '', meaning = '']) => ({
    term,
    names: [...names.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''),
    file: /^`([^`]+)`$/.exec(file)?.[1],
    meaning,
  }));

/** Whether TypeScript code declares a function, type or value of this name, or a member as `Class.member`. */
function declares(source: string, name: string): boolean {
  const [owner = '', member] = name.split('.');
  const own = new RegExp(
    `^(?:export )?(?:async )?(?:class|function\\*?|interface|type|const) ${owner}\\b`,
    'm',
  );
  if (!own.test(source)) return false;
  if (member === undefined) return true;
  const [body = ''] = source.slice(source.search(own)).split(/^\}/m);
  return new RegExp(`^ {2}(?:readonly |static |async |get |protected )*\\*?${member}\\b`, 'm').test(body);
}

describe('docs/glossary.md', () => {
  it('has its rows', () => {
    expect(rows.length).toBeGreaterThan(100);
  });

  it.each(rows.filter(({ file }) => file !== undefined))('$term: $names in $file', ({ names, file = '' }) => {
    expect(existsSync(join(root, file))).toBe(true);
    expect(names).not.toEqual([]);
    const source = readFileSync(join(root, file), 'utf8');
    expect(names.filter((name) => !declares(source, name))).toEqual([]);
  });

  it('explains each term once, in a sentence', () => {
    const terms = rows.map(({ term }) => term.toLowerCase());
    expect(terms.filter((term, index) => terms.indexOf(term) !== index)).toEqual([]);
    expect(rows.filter(({ meaning }) => !/^[^a-z].*\.$/.test(meaning)).map(({ term }) => term)).toEqual([]);
  });

  it('mentions only functions and classes of the code in its sentences', () => {
    const sources = ['src', 'mock-tdx', 'devnet'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => readFileSync(join(root, folder, name), 'utf8')),
    );
    const words = new Set(sources.flatMap((source) => source.match(/#?[A-Za-z_]\w*/g) ?? []));
    const mentioned = [...page.matchAll(/`([A-Za-z][\w.#]*)`/g)]
      .map((match) => match[1] ?? '')
      .filter((name) => name !== 'src' && !name.startsWith('node.'))
      .flatMap((name) => name.split('.').filter((part) => part !== ''));
    expect(mentioned.length).toBeGreaterThan(150);
    expect(mentioned.filter((name) => !words.has(name))).toEqual([]);
  });

  it('names each part of the code once', () => {
    const places = rows.flatMap(({ names, file }) => names.map((name) => `${name} in ${file}`));
    expect(places.filter((place, index) => places.indexOf(place) !== index)).toEqual([]);
  });

  it('the check itself finds names that are not there', () => {
    const source = 'export class Vault {\n  wipe(): void {}\n}\nfunction cut() {\n  open();\n}\n';
    expect(['Vault', 'cut', 'Vault.wipe'].filter((name) => !declares(source, name))).toEqual([]);
    expect(['Vaults', 'wipe', 'Vault.open', 'Safe.wipe'].filter((name) => declares(source, name))).toEqual(
      [],
    );
  });
});
