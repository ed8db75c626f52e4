import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** All TypeScript files below a folder, in alphabetical order. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? filesBelow(path) : path.endsWith('.ts') ? [path] : [];
    });
}

/** What a source text imports or exports again, types included. */
export function importsOf(source: string): string[] {
  const code = source.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  return [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

/**
 * Sets of files that import one another in circles: the strongly connected components with more than one file, or with
 * a file that imports itself (Tarjan 1972). Files of each set and the sets are in alphabetical order.
 */
export function circlesAmong(files: readonly string[]): string[][] {
  const targets = new Map(
    files.map((file) => {
      const imported = importsOf(readFileSync(file, 'utf8')).filter((text) => text.startsWith('.'));
      return [file, imported.map((text) => resolve(dirname(file), text))] as const;
    }),
  );
  const indexOf = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): number => {
    const index = indexOf.size;
    let low = index;
    indexOf.set(file, index);
    stack.push(file);
    for (const target of targets.get(file) ?? []) {
      if (!targets.has(target)) continue;
      if (!indexOf.has(target)) low = Math.min(low, visit(target));
      else if (stack.includes(target)) low = Math.min(low, indexOf.get(target) ?? low);
    }
    if (low !== index) return low;
    const members = stack.splice(stack.indexOf(file));
    if (members.length > 1 || targets.get(file)?.includes(file) === true) circles.push(members.sort());
    return low;
  };
  for (const file of files) if (!indexOf.has(file)) visit(file);
  return circles.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
}
