import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
// The project's own file.
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return sourcesBelow(path);
    return path.endsWith('.ts') ? [readFileSync(path, 'utf8')] : [];
  });
}

it('every dependency is imported by the shipped code, and every imported package is a dependency', () => {
  const sources = ['src', 'mock-tdx'].flatMap((folder) => sourcesBelow(join(root, folder)));
  const imported = new Set(
    sources
      .flatMap((source) => [...source.matchAll(/^(?:(?:import|export) .*|\}) from '([^'.][^']*)'/gm)])
      .map((match) => match[1] ?? '')
      .filter((specifier) => !specifier.startsWith('node:'))
      .map(
        (specifier) => (specifier.startsWith('@') ? /^[^/]+\/[^/]+/ : /^[^/]+/).exec(specifier)?.[0] ?? '',
      ),
  );
  expect([...imported].sort()).toEqual(Object.keys(dependencies).sort());
});
