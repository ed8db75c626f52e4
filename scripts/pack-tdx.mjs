// Stages the package @latchkey/tdx: the files of dist/ that the face of `latchkey/tdx` loads, and nothing else. Its three
// modules that use Node.js are replaced by portable ones where the importing program is not Node.js (conditional imports).
import { cpSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  closureOf,
  dependenciesOf,
  read,
  specifiers,
  typeClosureOf,
  typesOf,
  write,
} from './stage-package.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist/src');
const source = join(root, 'packages/tdx');

/** Modules that have a portable twin, by the name under which the package imports them. */
const native = new Map([
  [join(built, 'bytes/native-bytes.js'), '#native-bytes'],
  [join(built, 'crypto/sha2.js'), '#sha2'],
  [join(built, 'crypto/p256.js'), '#p256'],
]);

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
  const described = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const portableFiles = ['native-bytes', 'sha2', 'p256'].map((name) => join(portable, `${name}.js`));
  for (const path of portableFiles)
    write(join(folder, 'dist/portable'), relative(portable, path), read(path));
  const dependencies = dependenciesOf(portableFiles, main);
  const { name, description, ...rest } = described;
  const published = { name, version: main.version, description, ...rest, dependencies };
  write(folder, 'package.json', `${JSON.stringify(published, null, 2)}\n`);
  cpSync(join(source, 'README.md'), join(folder, 'README.md'));
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
}
