// Stages the package @latchkey/tdx: the files of dist/ that the face of `latchkey/tdx` loads, and nothing else. Its three
// modules that use Node.js are replaced by portable ones where the importing program is not Node.js (conditional imports).
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist/src');
const source = join(root, 'packages/tdx');

/** Modules that have a portable twin, by the name under which the package imports them. */
const native = new Map([
  [join(built, 'bytes/native-bytes.js'), '#native-bytes'],
  [join(built, 'crypto/sha2.js'), '#sha2'],
  [join(built, 'crypto/p256.js'), '#p256'],
]);

const specifiers = /(\bfrom\s*|\bimport\s*)(['"])(\.[^'"]+)\2/g;
const read = (path) => readFileSync(path, 'utf8').replace(/^\/\/# sourceMappingURL=.*\n?/m, '');

/** All files that these load, with themselves. */
function closureOf(entries) {
  const found = new Set();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    for (const [, , , specifier] of read(path).matchAll(specifiers))
      waiting.push(resolve(dirname(path), specifier));
  }
  return found;
}

/** Types name the `.ts` file or the `.js` file of their module; both have their types in a `.d.ts`. */
function typesOf(path) {
  return path.replace(/(\.d)?\.[tj]s$/, '.d.ts');
}

/** The declarations that these load; a type may come from a module whose code is not needed. */
function typeClosureOf(entries) {
  const found = new Set();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    for (const [, , , specifier] of read(path).matchAll(specifiers))
      waiting.push(typesOf(resolve(dirname(path), specifier)));
  }
  return found;
}

function write(folder, path, text) {
  const target = join(folder, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

/** Writes the package into a folder. @param {{ version: string, dependencies: Record<string, string> }} main */
export function stageTdx(folder, main) {
  const entry = join(built, 'tdx.js');
  for (const path of closureOf([entry])) {
    const text = read(path).replaceAll(specifiers, (whole, keyword, quote, specifier) => {
      const name = native.get(resolve(dirname(path), specifier));
      return name === undefined ? whole : `${keyword}${quote}${name}${quote}`;
    });
    write(join(folder, 'dist'), relative(built, path), text);
  }
  // The modules behind the conditional imports, which no other file names any more.
  for (const path of native.keys()) write(join(folder, 'dist'), relative(built, path), read(path));
  const types = [entry, ...closureOf([entry])].map(typesOf);
  for (const path of typeClosureOf(types)) write(join(folder, 'dist'), relative(built, path), read(path));
  const portable = join(root, 'dist/packages/tdx/portable');
  for (const name of ['native-bytes', 'sha2', 'p256'])
    write(join(folder, 'dist'), `portable/${name}.js`, read(join(portable, `${name}.js`)));
  const described = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const dependencies = Object.fromEntries(
    ['@noble/curves', '@noble/hashes'].map((name) => [name, main.dependencies[name]]),
  );
  const { name, description, ...rest } = described;
  const published = { name, version: main.version, description, ...rest, dependencies };
  write(folder, 'package.json', `${JSON.stringify(published, null, 2)}\n`);
  cpSync(join(source, 'README.md'), join(folder, 'README.md'));
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
}
