import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { processInputs } from '../../../src/config/process-inputs.ts';

const src = fileURLToPath(new URL('../../../src', import.meta.url));

/** What reads something from outside of the process, in the text of a module. */
const readers =
  /process\.(env|argv|execArgv|stdin)\b|from 'node:(fs|fs\/promises|os|net|http|https|dns|dns\/promises|child_process|worker_threads|dgram|tls|v8|inspector)'|['"`]\/(proc|sys|dev|etc)\/|import\(\s*[^'"`\s]/;

/** Modules that only use names of types, or write what they were given. */
const readsNothing = new Set([
  // The list itself.
  'config/process-inputs.ts',
  // Tells kinds of addresses apart.
  'http/network-of.ts',
  'restarts/server-targets.ts',
  'secrets/relay/address-rules.ts',
  'secrets/relay/fleet-addresses.ts',
  'secrets/relay/relay.ts',
]);

/** The text without comments: a name in a comment reads nothing. */
const codeOf = (path: string): string =>
  readFileSync(join(src, path), 'utf8')
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/^\s*\/\/.*$/gm, '')
    .replaceAll(/^import type .*$/gm, '');

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
const listed = new Set(processInputs.flatMap(({ readBy }) => readBy));

describe('the list of inputs', () => {
  it('names every module that reads input from outside the process', () => {
    const unlisted = files.filter(
      (path) => readers.test(codeOf(path)) && !listed.has(path) && !readsNothing.has(path),
    );
    expect(unlisted).toEqual([]);
  });

  it('names only existing modules', () => {
    expect([...listed].filter((path) => !files.includes(path))).toEqual([]);
  });

  it('only one module reads variables of the configuration', () => {
    const reading = files.filter((path) => /process\.env\b/.test(codeOf(path)));
    expect(reading.sort()).toEqual([
      'cli/commands/decryptions.ts',
      'cli/commands/doctor.ts',
      'cli/commands/serve.ts',
      'cli/shared/config-options.ts',
      // Passes all on to the client of a developer.
      'conformance/client/run-command.ts',
    ]);
  });

  it('the test detects a new module that reads input', () => {
    for (const text of [
      "const home = process.env['HOME'];",
      "import { readFile } from 'node:fs/promises';",
      "open('/etc/hostname')",
      'await import(name)',
    ])
      expect(readers.test(text)).toBe(true);
  });
});
