import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder =
  process.env['LATCHKEY_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));

/** Whether the shared vectors are there; tests that need them use `describe.skipIf(!haveVectors)`. */
export const haveVectors = existsSync(folder);

export const vectorBytes = (path: string): Uint8Array => new Uint8Array(readFileSync(`${folder}/${path}`));

/** Parses one JSON vector file; the caller names its shape. */
export const vectorJson = <T>(path: string): T => JSON.parse(readFileSync(`${folder}/${path}`, 'utf8')) as T;
