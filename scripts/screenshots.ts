// Pictures of the status page in Debian's Chromium, dark and light, for a phone and a desk.
// Usage: npm run screenshots -- [FOLDER]; the folder is outside of the project by default.
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ChromiumPage, chromiumProgram } from '../test/support/chromium.ts';
import { backedPage, calmFleet, degradedPage, troubledFleet } from '../test/support/page-samples.ts';
import { servePage } from '../test/support/page-server.ts';

const folder = resolve(process.argv[2] ?? join(tmpdir(), 'latchkey-screenshots'));
if (chromiumProgram === undefined) {
  console.error('skipped: there is no chromium here (apt-get install chromium)');
  process.exit(0);
}
mkdirSync(folder, { recursive: true });
let data = backedPage;
let fleet = calmFleet;
const listener = await servePage(
  () => data,
  () => fleet,
);
const page = await ChromiumPage.start(chromiumProgram);
try {
  for (const width of [390, 1280])
    for (const scheme of ['light', 'dark'] as const) {
      data = scheme === 'light' ? backedPage : degradedPage;
      fleet = scheme === 'light' ? calmFleet : troubledFleet;
      for (const [view, sign] of [
        ['node', '#summary'],
        ['fleet', '#fleet-view table'],
      ]) {
        await page.open(`${listener.url}/#${view}`, { width, scheme });
        await page.until(`document.querySelector('${sign}')`);
        const height = Number(await page.evaluate('document.documentElement.scrollHeight'));
        await page.view(width, height);
        const path = join(folder, `${view}-${width}-${scheme}.png`);
        writeFileSync(path, await page.screenshot());
        console.log(path);
      }
    }
} finally {
  await page[Symbol.asyncDispose]();
  await listener.close(0);
}
