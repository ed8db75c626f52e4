import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A project that has installed one packed tarball; the packages that it needs are those of this checkout. */
export interface InstalledPackage extends AsyncDisposable {
  /** The folder of the project. */
  readonly path: string;
  /** The folder of the installed package. */
  readonly installed: string;
  /** What the script that packs wrote to stderr. */
  readonly printed: string;
}

/** Packs a package of this checkout and installs it into a new project. @param also packages besides its dependencies. */
export async function installedPackage(
  name: string,
  also: readonly string[] = [],
): Promise<InstalledPackage> {
  const { path, [Symbol.asyncDispose]: dispose } = await tempFolder();
  const installed = join(path, 'node_modules', name);
  await mkdir(installed, { recursive: true });
  const pack = [join(root, 'scripts/pack.mjs'), '--to', path, '--only', name];
  const { stdout, stderr } = await run(process.execPath, pack);
  await run('tar', ['-xzf', stdout.trim(), '-C', installed, '--strip-components', '1']);
  const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  for (const needed of [...Object.keys(dependencies), ...also]) {
    const link = join(path, 'node_modules', needed);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', needed), link);
  }
  await writeFile(join(path, 'package.json'), '{"type":"module"}');
  return { path, installed, printed: stderr, [Symbol.asyncDispose]: dispose };
}
