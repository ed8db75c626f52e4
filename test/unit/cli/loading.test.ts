import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../../../src', import.meta.url));

/** Files and packages that a module loads before it runs: static imports that are not of types alone. */
function loadedBy(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(
    /^(?:import|export)\s(?!type\b)[^;]*?from '([^']+)';/gm,
  )) {
    if (specifier.startsWith('.')) loadedBy(resolve(dirname(file), specifier), seen);
    else seen.add(specifier);
  }
  return seen;
}

const loads = (entry: string): readonly string[] =>
  [...loadedBy(join(src, entry))].map((name) => (name.startsWith('/') ? relative(src, name) : name));

describe('a command that starts', () => {
  it('loads nothing of the program before it is known which command it is', () => {
    expect(loads('cli/main.ts').filter((name) => !/^(cli\/|errors\/|node:)/.test(name))).toEqual([
      'bytes/escape-controls.ts',
    ]);
  });

  it.each(['doctor', 'fleet', 'quote', 'status'])(
    '%s loads no node and no library of the chain',
    (command) => {
      const loaded = loads(`cli/commands/${command}.ts`);
      expect(
        loaded.filter((name) => /^(node\/|http\/|agent\/|@polkadot|hono|pino|prom-client|ws$)/.test(name)),
      ).toEqual([]);
    },
  );

  it('doctor loads no schema for its help', () => {
    expect(loads('cli/commands/doctor.ts').filter((name) => name === 'zod' || name === 'yaml')).toEqual([]);
  });

  it('the walk follows what is loaded', () => {
    expect(loads('cli/commands/serve.ts')).toContain('prom-client');
  });
});
