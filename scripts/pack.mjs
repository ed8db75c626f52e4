// Makes the package as it is published: the files that package.json lists, without scripts and development settings,
// of which the installing npm would warn. Usage: node scripts/pack.mjs [--to FOLDER]; prints the path of the tarball.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { to: { type: 'string', default: '.' } } });
const target = resolve(values.to);
const {
  scripts: _scripts,
  devDependencies: _development,
  overrides: _overrides,
  ...published
} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const staging = mkdtempSync(join(tmpdir(), 'latchkey-pack-'));
try {
  for (const file of published.files) {
    if (!existsSync(join(root, file))) throw new Error(`${file} is missing: run \`npm run build\` first`);
    mkdirSync(dirname(join(staging, file)), { recursive: true });
    cpSync(join(root, file), join(staging, file), { recursive: true });
  }
  writeFileSync(join(staging, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  mkdirSync(target, { recursive: true });
  const printed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', target], {
    cwd: staging,
    encoding: 'utf8',
  });
  // npm 11 prints an array, later versions an object by package name.
  const [packed] = Object.values(JSON.parse(printed));
  console.log(join(target, packed.filename));
} finally {
  rmSync(staging, { recursive: true });
}
