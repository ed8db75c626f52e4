import { readFileSync } from 'node:fs';

/** Paths to `package.json` from the sources and from the built files. */
const places = ['../../../package.json', '../../../../package.json'];

/** Version of this program, from its `package.json`; `unknown` where the package was taken apart. */
export function programVersion(): string {
  for (const place of places) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
      if (typeof parsed === 'object' && parsed !== null && 'name' in parsed && parsed.name === 'latchkey')
        return 'version' in parsed ? String(parsed.version) : 'unknown';
    } catch {
      // Not in this place.
    }
  }
  return 'unknown';
}
