import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const pathOf = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const timeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** What runs in the decoder process: its own folder, and what that imports of the chain's. */
function sources(): string[] {
  const folder = pathOf('src/chain/decoder');
  const own = readdirSync(folder).map((name) => `${folder}/${name}`);
  return [...own, pathOf('src/chain/runtime-layout.ts'), pathOf('src/chain/storage-keys.ts')];
}

/** The status page, which is built as well. */
const pageSources = (): string[] =>
  ['src/page', 'src/inspect'].flatMap((folder) =>
    readdirSync(pathOf(folder)).map((name) => pathOf(`${folder}/${name}`)),
  );

/** Builds before the tests when what runs built is older than its sources: tests would run the old one. */
export default function buildDecoder(): void {
  const built = timeOf(pathOf('dist/src/chain/decoder/main.js'));
  const isNew = sources().every((path) => timeOf(path) <= built);
  const page = timeOf(pathOf('dist/src/page/app.js'));
  if (isNew && pageSources().every((path) => timeOf(path) <= page)) return;
  execFileSync(process.execPath, [pathOf('scripts/build.mjs')], { stdio: 'inherit' });
}
