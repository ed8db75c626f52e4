// Compiles src, mock-tdx and devnet into dist/, and bundles the status page there. Runs as `prepare`, so `npm ci` leaves a working `npx latchkey`.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, utimesSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeManPages } from './man-pages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
if (!existsSync(tsc)) {
  // Installed without development dependencies: the package ships its dist/ already.
  process.exit(0);
}
// Not above: without development dependencies there is no bundler either.
const { bundlePage } = await import('./bundle-page.mjs');
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
await bundlePage();
for (const command of ['src/cli/main.js', 'devnet/main.js'])
  chmodSync(new URL(`../dist/${command}`, import.meta.url), 0o755);
// The compiler leaves alone what did not change; tests compare this file's time with that of its sources.
const now = new Date();
utimesSync(new URL('../dist/src/chain/decoder/main.js', import.meta.url), now, now);
await writeManPages();
// A library of the chain keeps a timer.
process.exit();
