// What the scripts that stage a package share: which built files it needs.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The module that an import or export names; relative ones only. */
export const specifiers = /(\bfrom\s*|\bimport\s*)(['"])(\.[^'"]+)\2/g;
/** The text of a built file, without the link to its source map, which is not packed. */
export const read = (path) => readFileSync(path, 'utf8').replace(/^\/\/# sourceMappingURL=.*\n?/m, '');

/** All files that these load, with themselves. */
export function closureOf(entries) {
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
export function typesOf(path) {
  return path.replace(/(\.d)?\.[tj]s$/, '.d.ts');
}

/** The declarations that these load; a type may come from a module whose code is not needed. */
export function typeClosureOf(entries) {
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

/** Writes a file below a folder. */
export function write(folder, path, text) {
  const target = join(folder, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

/** Packages that these files import, with the versions of the main package. */
export function dependenciesOf(files, main) {
  const names = new Set();
  for (const path of files)
    for (const [, name] of read(path).matchAll(/\bfrom\s*'((?:@[\w-]+\/)?[\w-]+)[^']*'/g)) names.add(name);
  const versions = Object.entries(main.dependencies);
  return Object.fromEntries(versions.filter(([name]) => names.has(name)));
}
