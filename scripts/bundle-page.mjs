// The program of the status page as one file for browsers, beside its HTML and its style, in dist/src/page.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src/page');
const target = join(root, 'dist/src/page');

/** Modules that have a twin without Node.js, as in the package @latchkey/tdx. */
const portable = new Map(
  ['bytes/native-bytes', 'crypto/sha2', 'crypto/p256'].map((name) => [
    join(root, 'src', `${name}.ts`),
    join(root, 'packages/tdx/portable', `${name.split('/')[1]}.ts`),
  ]),
);

const withoutNode = {
  name: 'without-node',
  setup(bundle) {
    bundle.onLoad({ filter: /\/(native-bytes|sha2|p256)\.ts$/ }, ({ path }) => {
      const twin = portable.get(path);
      return twin === undefined
        ? undefined
        : { contents: `export * from ${JSON.stringify(twin)};`, loader: 'ts' };
    });
  },
};

/** Builds the page. */
export async function bundlePage() {
  mkdirSync(target, { recursive: true });
  await build({
    entryPoints: [join(source, 'app.ts')],
    outfile: join(target, 'app.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    plugins: [withoutNode],
    logLevel: 'warning',
  });
  for (const name of ['index.html', 'style.css', 'icon.svg'])
    copyFileSync(join(source, name), join(target, name));
}
