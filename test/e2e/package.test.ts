import { execFile } from 'node:child_process';
import { cp, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InstalledPackage, installedPackage } from '../support/installed-package.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** What these tests read of a package.json. */
interface PackageJson {
  readonly scripts?: unknown;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
}
// Written by the script under test from the project's own file.
const readPackageJson = async (folder: string) =>
  JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageJson;

let project: InstalledPackage;
let installed: string;
beforeAll(async () => {
  project = await installedPackage('latchkey', ['@types/node', '@types/ws']);
  installed = project.installed;
}, 300_000);
afterAll(() => project[Symbol.asyncDispose]());

describe('the packed package', () => {
  it('has no install scripts, because npm would warn about them', async () => {
    expect((await readPackageJson(installed)).scripts).toBeUndefined();
  });

  it('contains every file that its README links to', async () => {
    const readme = await readFile(join(installed, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? '');
    expect(links.length).toBeGreaterThan(10);
    const missing: string[] = [];
    for (const link of links) await stat(join(installed, link)).catch(() => missing.push(link));
    expect(missing).toEqual([]);
  });

  it('runs its command', async () => {
    const { stdout } = await run(process.execPath, [join(installed, 'dist/src/cli/main.js'), '--help']);
    expect(stdout).toContain('rituals');
  });

  it('contains every import of the examples, with types', {
    timeout: 600_000,
  }, async () => {
    const { exports } = await readPackageJson(installed);
    const subpaths = Object.keys(exports).map((subpath) => subpath.replace(/^\./, 'latchkey'));
    expect(subpaths).toEqual(expect.arrayContaining(['latchkey', 'latchkey/store', 'latchkey/epochs']));
    await cp(join(installed, 'examples'), project.path, { recursive: true });
    const all = subpaths.map((subpath, at) => `import * as part${at} from '${subpath}';\n`).join('');
    const counts = subpaths.map((_, at) => `Object.keys(part${at}).length`).join(', ');
    await writeFile(join(project.path, 'all.ts'), `${all}console.log(JSON.stringify([${counts}]));\n`);
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable'],
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      outDir: 'built',
    };
    await writeFile(
      join(project.path, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['all.ts', 'rituals.ts', 'decryptions.ts', 'epochs.ts'] }),
    );
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const failure: unknown = await run(process.execPath, [tsc, '-p', project.path]).catch(
      (error) => error.stdout,
    );
    expect(typeof failure === 'string' ? failure : '').toBe('');
    const runBuilt = async (name: string) =>
      (await run(process.execPath, [join(project.path, 'built', `${name}.js`)])).stdout;
    const numbers: unknown = JSON.parse(await runBuilt('all'));
    expect(numbers).toHaveLength(subpaths.length);
    expect(numbers).not.toContain(0);
    expect(await runBuilt('rituals')).toContain('43: RITUAL_EXPIRED');
    expect(await runBuilt('decryptions')).toContain('PUT 200');
    expect(await runBuilt('epochs')).toContain('the same ack');
  });
});
