import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const pathOf = (name: string): string => fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url));

/** What each example prints. It imports the package by its name, so the build is what runs. */
const printed: Readonly<Record<string, readonly string[]>> = {
  rituals: ['42: fragment of 42', '43: RITUAL_EXPIRED', 'revoked 43', 'left: 42'],
  decryptions: ['PUT 200', 'GET {"value":18446744073709551615,"signature":"c2lnbmF0dXJl"}', 'GET 404'],
  epochs: ['first answer: valid', 'after the restart: the same ack'],
};

describe.each(Object.entries(printed))('examples/%s.ts', (name, lines) => {
  it('runs as a program', async () => {
    const { stdout } = await run(process.execPath, ['--import', 'tsx', pathOf(name)]);
    expect(stdout.trimEnd().split('\n')).toEqual(lines);
  });

  it('imports the package by its name, and is shorter than 50 lines', async () => {
    const text = await readFile(pathOf(name), 'utf8');
    const imports = [...text.matchAll(/from '([^']+)'/g)].map((match) => match[1] ?? '');
    expect(imports.filter((specifier) => !/^(node:|latchkey\b)/.test(specifier))).toEqual([]);
    expect(imports).toContain(`latchkey/${name}`);
    expect(text.trimEnd().split('\n').length).toBeLessThan(50);
  });
});
