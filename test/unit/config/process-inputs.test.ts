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
  'decryptions/client-signal.ts',
  // Tells kinds of addresses apart.
  'inbound/network-of.ts',
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

  it('names the inputs that end promises of the threat model, and so does the threat model, with the same promises', () => {
    const threatModel = readFileSync(join(src, '../docs/threat-model.md'), 'utf8');
    const section = threatModel
      .split('\n## ')
      .find((text) => text.startsWith('Command line and environment'));
    const rows = [...(section ?? '').matchAll(/^\| (`[^|]+) \| ([\d, ]+) \|/gm)].map(
      ([, names = '', promises = '']) => [names.replaceAll('`', ''), promises.split(', ').map(Number)],
    );
    const ending = processInputs.flatMap(({ name, ends }) => (ends === undefined ? [] : [[name, ends]]));
    expect(rows).toEqual(ending);
    // All of them are in the host's hands where the image does not fix them.
    for (const { protection, ends } of processInputs) if (ends) expect(protection).toBe('not covered');
    const promised = threatModel.split('## What is promised')[1]?.split('\n## ')[0] ?? '';
    expect([...promised.matchAll(/^(\d)\. /gm)].map(([, number]) => Number(number))).toEqual([
      1, 2, 3, 4, 5, 6,
    ]);
  });

  it.each(['--insecure-trust-root', '--accept-rolled-back-store', '--import', 'NODE_*'])(
    'says that %s ends promises: it is not measured by the trust hash',
    (name) => {
      const found = processInputs.find((input) => input.name.includes(name));
      expect(found?.ends?.length).toBeGreaterThan(0);
      expect(found?.effect).toContain('command line');
    },
  );

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
