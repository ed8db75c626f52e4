// Stages the package mock-tdx: the development PKI and its command, for people who do not clone the project.
import { cpSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closureOf, dependenciesOf, read, typeClosureOf, typesOf, write } from './stage-package.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist');

/** Writes the package into a folder. @param {{ version: string, dependencies: Record<string, string> }} main */
export function stageMockTdx(folder, main) {
  const files = closureOf([join(built, 'mock-tdx/main.js'), join(built, 'mock-tdx/mock-tdx.js')]);
  for (const path of [...files, ...typeClosureOf([...files].map(typesOf))])
    write(join(folder, 'dist'), relative(built, path), read(path));
  const published = {
    name: 'mock-tdx',
    version: main.version,
    description:
      "A development PKI shaped like Intel's: TDX quotes that say what you want, their collateral, and tampered cases.",
    license: main.license,
    type: 'module',
    engines: main.engines,
    bin: { 'mock-tdx': 'dist/mock-tdx/main.js' },
    exports: { '.': { types: './dist/mock-tdx/mock-tdx.d.ts', default: './dist/mock-tdx/mock-tdx.js' } },
    files: ['dist', 'README.md', 'LICENSE'],
    dependencies: dependenciesOf(files, main),
  };
  write(folder, 'package.json', `${JSON.stringify(published, null, 2)}\n`);
  write(folder, 'README.md', readmeOf(readFileSync(join(root, 'mock-tdx/README.md'), 'utf8')));
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
}

/** The page of the project as that of the package: its command, and no links to pages that are not packed. */
const readmeOf = (page) =>
  page
    .replaceAll(/npm run mock-tdx(?: --)?/g, 'npx mock-tdx')
    .replaceAll(/'\.\/mock-tdx\/[\w-]+\.ts'/g, "'mock-tdx'")
    .replaceAll(/\[([^\]]+)\]\(\.\.\/[^)]*\)/g, '$1');
