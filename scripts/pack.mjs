// Makes the packages as they are published: `latchkey` with the files that package.json lists, without scripts and
// development settings, of which the installing npm would warn; @latchkey/tdx, the verifier alone; and mock-tdx.
// Usage: node scripts/pack.mjs [--to FOLDER] [--only NAME]; prints the path of each tarball.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundleTdx, MAX_BUNDLE_BYTES } from './bundle-tdx.mjs';
import { stageMockTdx } from './pack-mock-tdx.mjs';
import { stageTdx } from './pack-tdx.mjs';
import { read, write } from './stage-package.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = { to: { type: 'string', default: '.' }, only: { type: 'string' } };
const { values } = parseArgs({ options });
const target = resolve(values.to);
const {
  scripts: _scripts,
  devDependencies: _development,
  overrides: _overrides,
  ...published
} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Source maps are left out: the sources that they name are not packed. */
const isPacked = (path) => !path.endsWith('.map');

function stageLatchkey(staging) {
  for (const file of published.files) {
    if (!existsSync(join(root, file))) throw new Error(`${file} is missing: run \`npm run build\` first`);
    mkdirSync(dirname(join(staging, file)), { recursive: true });
    cpSync(join(root, file), join(staging, file), { recursive: true, filter: isPacked });
  }
  for (const name of readdirSync(join(staging, 'dist'), { recursive: true }))
    if (name.endsWith('.js')) write(staging, join('dist', name), read(join(root, 'dist', name)));
  // npm links the pages of this list for `man`, and not those of directories.man.
  const man = readdirSync(join(staging, 'dist/man')).map((name) => `dist/man/${name}`);
  const { directories: _directories, ...described } = published;
  writeFileSync(join(staging, 'package.json'), `${JSON.stringify({ ...described, man }, null, 2)}\n`);
}

/** Says how much a browser has to load of it. */
async function packTdx(staging) {
  stageTdx(staging, published);
  const { compressedBytes } = await bundleTdx(staging);
  console.error(
    `@latchkey/tdx: browser bundle of ${compressedBytes} bytes compressed, at most ${MAX_BUNDLE_BYTES}`,
  );
  if (compressedBytes > MAX_BUNDLE_BYTES) throw new Error('the browser bundle of @latchkey/tdx is too large');
}

/** Each package with the function that writes its files. */
const packages = new Map([
  ['latchkey', stageLatchkey],
  ['@latchkey/tdx', packTdx],
  ['mock-tdx', (staging) => stageMockTdx(staging, published)],
]);

async function pack(stage) {
  const staging = mkdtempSync(join(tmpdir(), 'latchkey-pack-'));
  try {
    await stage(staging);
    mkdirSync(target, { recursive: true });
    const printed = execFileSync(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', target],
      {
        cwd: staging,
        encoding: 'utf8',
      },
    );
    // npm 11 prints an array, later versions an object by package name.
    const [packed] = Object.values(JSON.parse(printed));
    return join(target, packed.filename);
  } finally {
    rmSync(staging, { recursive: true });
  }
}

if (values.only !== undefined && !packages.has(values.only)) {
  console.error(`--only must be one of ${[...packages.keys()].join(', ')}, got '${values.only}'`);
  process.exit(2);
}
for (const [name, stage] of packages)
  if (values.only === undefined || values.only === name) console.log(await pack(stage));
