// The package @latchkey/tdx as one file for browsers, and how large that is.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The most that a browser may have to load, compressed. */
export const MAX_BUNDLE_BYTES = 60_000;

/**
 * Bundles a staged package.
 * @param {string} folder where its package.json is.
 * @returns {Promise<{ text: string, compressedBytes: number }>} an ES module, and its size with gzip -9.
 */
export async function bundleTdx(folder) {
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'dist/tdx.js')],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    nodePaths: [join(root, 'node_modules')],
    logLevel: 'silent',
  });
  const [{ text }] = outputFiles;
  return { text, compressedBytes: gzipSync(text, { level: 9 }).length };
}
