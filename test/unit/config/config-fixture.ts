import { parse, stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load-config.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';

export const genesisHash = `0x${'5a'.repeat(32)}`;

/** Only what has no default. */
export const minimal = {
  node: { dataFolder: './data' },
  chain: { endpoints: ['ws://127.0.0.1:9944'] },
  quote: { source: 'configfs' },
  collateral: { endpoints: ['https://api.trustedservices.intel.com'] },
  trust: { chain: { genesisHash } },
};

/** YAML of the minimal configuration with values laid over it, by dotted keys. */
export function yamlWith(changes: Readonly<Record<string, unknown>> = {}): string {
  const copy: unknown = parse(stringify(minimal));
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    // A fresh object of plain maps; the test names their keys.
    let target = copy as Record<string, unknown>;
    for (const key of keys) {
      target[key] ??= {};
      target = target[key] as Record<string, unknown>;
    }
    if (value === undefined) delete target[last];
    else target[last] = value;
  }
  return stringify(copy);
}

/** Code and place of the refusal; `none` when the configuration is good. */
export function refusalOf(text: string, environment: Readonly<Record<string, string>> = {}): string {
  try {
    loadConfig(text, environment);
    return 'none';
  } catch (error) {
    if (error instanceof LatchkeyError) return `${error.code} ${error.field}`;
    throw error;
  }
}
