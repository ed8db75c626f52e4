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

  it.each(['audit', 'config', 'doctor', 'fleet', 'quote', 'status', 'trust'])(
    '%s loads no node and no library of the chain',
    (command) => {
      const loaded = loads(`cli/commands/${command}.ts`);
      expect(
        loaded.filter((name) => /^(node\/|http\/|agent\/|@polkadot|hono|pino|prom-client|ws$)/.test(name)),
      ).toEqual([]);
    },
  );

  it.each(['audit', 'config', 'doctor', 'fleet', 'trust'])('%s loads no schema for its help', (command) => {
    const loaded = loads(`cli/commands/${command}.ts`);
    expect(loaded.filter((name) => name === 'zod' || name === 'yaml')).toEqual([]);
  });

  it('fleet show reads a manifest without the configuration, the verifier and the store', () => {
    expect(
      loads('cli/fleet/show.ts').filter((name) => /^(config|tdx|store|keyslots|custody|yaml)\b/.test(name)),
    ).toEqual([]);
  });

  it('a configuration is read without the verifier of quotes', () => {
    const loaded = loads('config/load-config.ts');
    expect(loaded.filter((name) => /^(der\/|collateral\/|tdx\/quote-verifier)/.test(name))).toEqual([]);
    expect(loads('tdx/policy.ts')).toContain('tdx/quote-verifier.ts');
  });

  it('the walk follows what is loaded', () => {
    expect(loads('cli/commands/serve.ts')).toContain('prom-client');
  });
});
