import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const src = join(root, 'src');

/** The parts of package.json by which a program starts. */
interface PackageJson {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
}

// The project's own package.json; the tests below check the fields that they use.
const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageJson;
const exported = Object.values(packageJson.exports);

/** Started as a process or thread of its own, by its path; or in a browser. */
const processes = ['src/chain/decoder/main.ts', 'src/chain/decoder/watchdog.ts', 'src/page/app.ts'];

/** `./dist/src/x.js` → `src/x.ts` */
const sourceOf = (built: string): string =>
  relative('dist', built.replace(/^\.\//, '')).replace(/(\.d\.ts|\.js)$/, '.ts');

const entryPoints = [
  // The development network is no part of src.
  ...Object.values(packageJson.bin)
    .map(sourceOf)
    .filter((file) => !file.startsWith('devnet/')),
  ...exported.map((entry) => sourceOf(entry.default)),
  ...processes,
];

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : path.endsWith('.ts') ? [path] : [];
  });
}

/** Files that a file imports or exports from. */
function targetsOf(path: string): string[] {
  const source = readFileSync(path, 'utf8');
  const specifiers = source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+\.ts)'/g);
  return [...specifiers].map((match) => resolve(dirname(path), match[1] ?? ''));
}

/** All files that are loaded when these are, by their paths from the project's root. */
function reachableFrom(entries: readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const waiting = entries.map((entry) => join(root, entry));
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    waiting.push(...targetsOf(path));
  }
  return new Set([...reached].map((path) => relative(root, path)));
}

describe('entry points', () => {
  const files = filesBelow(src).map((path) => relative(root, path));

  it('are files of this project, each with its types', () => {
    expect(entryPoints.filter((entry) => !files.includes(entry))).toEqual([]);
    expect(exported.map(({ types }) => sourceOf(types))).toEqual(
      exported.map((entry) => sourceOf(entry.default)),
    );
  });

  it('reach every file of src, so that the package has no unusable file', () => {
    const reached = reachableFrom(entryPoints);
    expect(files.filter((file) => !reached.has(file))).toEqual([]);
  });

  it('are all needed: without the entry points of the rooms, some files are not reached', () => {
    const reached = reachableFrom(entryPoints.filter((entry) => entry !== 'src/epochs/epochs.ts'));
    expect(files.filter((file) => !reached.has(file))).toContain('src/epochs/player.ts');
  });
});
