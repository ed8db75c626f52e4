import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

const specifiers = /(?:\bfrom\s*|\bimport\s*\(?)['"](\.[^'"]+)['"]/g;

/**
 * The declaration files below these entries that write `Uint8Array<…>` or `Buffer<…>`, which compilers before TypeScript 5.7
 * refuse (TS2315). The test compiler is newer and prints such types where a declaration has no annotation.
 * @throws Error when there is nothing to read below an entry.
 */
export async function genericBytesBelow(entries: readonly string[]): Promise<readonly string[]> {
  const found = new Map<string, string>();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (found.has(path)) continue;
    const text = await readFile(path, 'utf8');
    found.set(path, text);
    for (const [, specifier = ''] of text.matchAll(specifiers))
      waiting.push(resolve(dirname(path), specifier.replace(/(\.d)?\.[tj]s$/, '.d.ts')));
  }
  if (found.size <= entries.length) throw new Error(`no imports below ${entries.join(', ')}`);
  const generic = /\b(?:Uint8Array|Buffer|ArrayBufferView)</;
  return [...found].filter(([, text]) => generic.test(text)).map(([path]) => path);
}
