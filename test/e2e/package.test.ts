import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InstalledPackage, installedPackage } from '../support/installed-package.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** What these tests read of a package.json. */
interface PackageJson {
  readonly scripts?: unknown;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly sideEffects?: boolean;
}
// Written by the script under test from the project's own file.
const readPackageJson = async (folder: string) =>
  JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageJson;

/** Where a network says that everything is. */
interface ReadyLine {
  readonly servers: readonly { readonly endpoint: string }[];
  readonly quoteProvider: string;
  readonly root: string;
  readonly configs: readonly string[];
}

async function readyLine(stdout: Readable): Promise<ReadyLine> {
  for await (const line of createInterface({ input: stdout })) {
    const parsed: unknown = JSON.parse(line);
    // devnet/main.ts writes this line.
    if (typeof parsed === 'object' && parsed !== null && 'ready' in parsed)
      return parsed as unknown as ReadyLine;
  }
  throw new Error('the network ended before it was ready');
}

/** Every import that a program may write; those of the README and of the documents. */
const SUBPATHS = [
  'latchkey',
  'latchkey/tdx',
  'latchkey/client',
  'latchkey/store',
  'latchkey/rituals',
  'latchkey/decryptions',
  'latchkey/epochs',
  'latchkey/ring',
  'latchkey/secrets',
];

let project: InstalledPackage;
let installed: string;
/** All packed files, relative to the package. */
let files: readonly string[];
beforeAll(async () => {
  project = await installedPackage('latchkey', ['@types/node']);
  installed = project.installed;
  const entries = await readdir(installed, { recursive: true, withFileTypes: true });
  files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1));
}, 300_000);
afterAll(() => project[Symbol.asyncDispose]());

/** Compiles files of the new project, with every library checked. @returns what the compiler prints. */
async function compile(
  options: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Promise<string> {
  const compilerOptions = {
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    ...options,
  };
  await writeFile(join(project.path, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: names }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  return run(process.execPath, [tsc, '-p', project.path]).then(
    ({ stdout }) => stdout,
    (error) => `${error.stdout}${error.stderr}`,
  );
}

describe('npm run pack', () => {
  it.each([['latchkeys'], [''], ['tdx']])('refuses to pack %j, and names the packages', async (name) => {
    const pack = [join(root, 'scripts/pack.mjs'), '--to', project.path, '--only', name];
    const { code, stdout, stderr } = await run(process.execPath, pack).catch((error) => error);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(`--only must be one of latchkey, @latchkey/tdx, mock-tdx, got '${name}'`);
  });
});

describe('the packed package', () => {
  it('has no install scripts, because npm would warn about them', async () => {
    expect((await readPackageJson(installed)).scripts).toBeUndefined();
  });

  it('contains every file that its documents link to', async () => {
    const missing: string[] = [];
    const documents = files.filter((name) => name.endsWith('.md'));
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'docs/store.md', 'kit/go/README.md']));
    for (const name of documents) {
      const text = await readFile(join(installed, name), 'utf8');
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? '');
      if (name === 'README.md') expect(links.length).toBeGreaterThan(10);
      for (const link of links)
        await stat(join(installed, dirname(name), link)).catch(() => missing.push(`${name}: ${link}`));
    }
    expect(missing).toEqual([]);
  });

  it('lists each manual page, because npm links those of the list for `man` and no folder', async () => {
    const { man } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    expect([...man].sort()).toEqual(files.filter((name) => name.startsWith('dist/man/')).sort());
  });

  it('contains commands, library, status page, manual pages and kit, and nothing that only developers use', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'dist/src/cli/main.js',
        'dist/src/chain/decoder/main.js',
        'dist/src/page/app.js',
        'dist/src/page/index.html',
        'dist/src/page/style.css',
        'dist/man/latchkey-serve.1',
        'dist/mock-tdx/server.js',
        'kit/systemd/latchkey.service',
        'kit/vectors/verdicts.json',
        'kit/go/agent.go',
        'kit/python/latchkey_client.py',
        'kit/rust/src/lib.rs',
        'openapi.json',
        'openapi-agent.json',
        'openapi-entropy.json',
        'LICENSE',
      ]),
    );
    const folders = new Set(
      files.map((name) =>
        name
          .split('/')
          .slice(0, name.startsWith('dist/') ? 2 : 1)
          .join('/'),
      ),
    );
    const folderNames = [...folders].filter((name) => !/[.]|LICENSE/.test(name)).sort();
    expect(folderNames).toEqual(
      [
        'bench',
        'dist/devnet',
        'dist/man',
        'dist/mock-tdx',
        'dist/src',
        'docs',
        'examples',
        'kit',
        'mock-tdx',
        'packages',
      ].sort(),
    );
    expect(files.filter((name) => name.startsWith('bench/'))).toEqual(['bench/RESULTS.md']);
    // A source map names a source that is not here.
    const unwanted = /\.map$|\.tsbuildinfo$|\.test\.[jt]s$|__pycache__|\/target\/|node_modules/;
    expect(files.filter((name) => unwanted.test(name))).toEqual([]);
  });

  it('has no link to a source map', async () => {
    const linking: string[] = [];
    for (const name of files.filter((file) => file.endsWith('.js')))
      if ((await readFile(join(installed, name), 'utf8')).includes('\n//# sourceMappingURL='))
        linking.push(name);
    expect(linking).toEqual([]);
  });

  it('has exactly these imports', async () => {
    const { exports } = await readPackageJson(installed);
    expect(Object.keys(exports).map((subpath) => subpath.replace(/^\./, 'latchkey'))).toEqual(SUBPATHS);
  });

  it('can be left out by a bundler where nothing of it is used', async () => {
    expect((await readPackageJson(installed)).sideEffects).toBe(false);
    const text = SUBPATHS.map((name, at) => `import * as part${at} from '${name}';\n`).join('');
    const { outputFiles } = await build({
      stdin: { contents: `${text}console.log('end');`, resolveDir: project.path },
      bundle: true,
      write: false,
      platform: 'node',
      format: 'esm',
      logLevel: 'silent',
    });
    expect(outputFiles[0]?.text.replace(/^\/\/.*$/gm, '').trim()).toBe('console.log("end");');
  });

  it.each(SUBPATHS)('changes nothing else in the program that imports %s', async (name) => {
    const program = `const state = () => ({
        globals: Object.getOwnPropertyNames(globalThis),
        listeners: process.eventNames().map(String),
        environment: Object.entries(process.env).map(String),
      });
      const before = state();
      await import('${name}');
      const after = state();
      console.log(JSON.stringify(Object.keys(after).flatMap((key) => after[key].filter((each) => !before[key].includes(each)))));`;
    await writeFile(join(project.path, 'import.mjs'), program);
    // It ends by itself: nothing that was imported keeps a timer or a socket.
    const { stdout, stderr } = await run(process.execPath, ['import.mjs'], { cwd: project.path });
    expect(stderr).toBe('');
    const added: readonly string[] = JSON.parse(stdout);
    // zod keeps its settings there.
    expect(added.filter((each) => !each.startsWith('__zod_'))).toEqual([]);
  });

  it('runs its command', async () => {
    const { stdout } = await run(process.execPath, [join(installed, 'dist/src/cli/main.js'), '--help']);
    expect(stdout).toContain('rituals');
  });

  it('runs a network, a verification and conformance runs without the checkout', {
    timeout: 600_000,
  }, async () => {
    const { bin } = await readPackageJson(installed);
    const commandOf = (name: string): string => join(installed, bin[name] ?? '');
    const latchkey = async (...args: string[]): Promise<string> =>
      (await run(process.execPath, [commandOf('latchkey'), ...args], { cwd: project.path })).stdout;
    const devnet = [commandOf('latchkey-devnet'), '--network', '--json'];
    const network = spawn(process.execPath, devnet, {
      cwd: project.path,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const { quoteProvider, root: rootFile, servers, configs } = await readyLine(network.stdout);
      expect(servers).toHaveLength(7);
      expect(await latchkey('status', '--config', configs[0] ?? '', '--explain')).toContain('backed');
      const body = JSON.stringify({ reportData: `0x${'00'.repeat(64)}` });
      const headers = { 'content-type': 'application/json' };
      const asked = await fetch(`${quoteProvider}/quote`, { method: 'POST', headers, body });
      // The route answers an object with the quote in base64.
      const { quote } = (await asked.json()) as { readonly quote: string };
      await writeFile(join(project.path, 'quote.bin'), Buffer.from(quote, 'base64'));
      const judged = ['--pccs', quoteProvider, '--insecure-trust-root', rootFile];
      expect(await latchkey('quote', 'verify', 'quote.bin', ...judged)).toContain('UpToDate');
      const server = ['--server', servers[0]?.endpoint ?? '', '--quotes', quoteProvider];
      expect(await latchkey('conformance', ...server)).toMatch(/^(\d+) of \1 rules hold/m);
      // As a program of the project: its imports are those of the package.
      await cp(join(installed, 'kit/typescript/conformance.mjs'), join(project.path, 'conformance.mjs'));
      const client = ['--client', 'node conformance.mjs', '--quotes', quoteProvider];
      expect(await latchkey('conformance', ...client)).toMatch(/^74 of 74 rules hold/m);
    } finally {
      network.kill();
      await once(network, 'close');
    }
  });

  it.each([
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ])(
    'has complete types under module %s and moduleResolution %s, with every library checked',
    {
      timeout: 300_000,
    },
    async (module, moduleResolution) => {
      const text = SUBPATHS.map((name, at) => `import * as part${at} from '${name}';\n`).join('');
      const counts = SUBPATHS.map((_, at) => `Object.keys(part${at}).length`).join(', ');
      // A module without types would be `any`, and take this property.
      const wrong = SUBPATHS.map((_, at) => `// @ts-expect-error\npart${at}.noSuchExport;\n`).join('');
      await writeFile(join(project.path, 'all.ts'), `${text}console.log(JSON.stringify([${counts}]));\n`);
      await writeFile(join(project.path, 'wrong.ts'), `${text}${wrong}`);
      const outDir = `built-${moduleResolution}`;
      expect(await compile({ module, moduleResolution, outDir }, ['all.ts', 'wrong.ts'])).toBe('');
      const { stdout } = await run(process.execPath, [join(project.path, outDir, 'all.js')]);
      const numbers: unknown = JSON.parse(stdout);
      expect(numbers).toHaveLength(SUBPATHS.length);
      expect(numbers).not.toContain(0);
    },
  );

  it('contains every import of the examples, with types', {
    timeout: 600_000,
  }, async () => {
    await cp(join(installed, 'examples'), project.path, { recursive: true });
    const names = ['rituals.ts', 'decryptions.ts', 'epochs.ts'];
    const options = { module: 'nodenext', outDir: 'built', skipLibCheck: true };
    expect(await compile(options, names)).toBe('');
    const runBuilt = async (name: string) =>
      (await run(process.execPath, [join(project.path, 'built', `${name}.js`)])).stdout;
    expect(await runBuilt('rituals')).toContain('43: RITUAL_EXPIRED');
    expect(await runBuilt('decryptions')).toContain('PUT 200');
    expect(await runBuilt('epochs')).toContain('the same ack');
  });
});
