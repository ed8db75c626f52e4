import { parse, TomlError } from 'smol-toml';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { nearestName } from '../errors/nearest-name.ts';
import { parseByteSize } from './byte-size.ts';

/** What a `Rocket.toml` says, in the names of this service. */
export interface RocketFile {
  /** Settings of each table: `default`, the profiles, and `global`, which wins over all of them. */
  readonly tables: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Settings of Rocket that have no effect here, as `table.key`. */
  readonly ignored: readonly string[];
}

/** Settings with a counterpart, by their names in the file; `password_file` is an addition to the original's. */
const counterparts: Readonly<Record<string, string>> = {
  address: 'address',
  port: 'port',
  max_expected_oracle_delay_ms: 'maxExpectedOracleDelayMs',
  db_path: 'storePath',
  password_file: 'passwordFile',
};
const LIMITS = 'limits';
/** The limit of the one body that the service reads. */
const JSON_LIMIT = 'json';
const limitsWithoutEffect = ['bytes', 'data-form', 'file', 'form', 'msgpack', 'string'];
/** Settings of Rocket 0.5 that have no effect here: the process has one thread, and no TLS, cookies or temporary files. */
export const withoutEffect: readonly string[] = [
  ...['cli_colors', 'ident', 'ip_header', 'keep_alive', 'log_level', 'max_blocking', 'proxy_proto_header'],
  ...['secret_key', 'shutdown', 'temp_dir', 'workers'],
];
/** An operator who wrote this expects an encrypted listener. */
const TLS = 'tls';
const known = [...Object.keys(counterparts), LIMITS, ...withoutEffect, TLS];

/**
 * Reads the configuration file of the original service.
 * @param tables Names that its tables may have.
 * @throws EvidenceError DECRYPTIONS_CONFIG_INVALID naming the place: what is no TOML, unknown tables and keys, `tls`,
 *   values of another type.
 */
export function readRocketToml(text: string, tables: readonly string[]): RocketFile {
  const ignored: string[] = [];
  const found: Record<string, Record<string, unknown>> = {};
  for (const [name, table] of Object.entries(parseToml(text))) {
    if (!isTable(table))
      throw invalid(name, 'stands outside of a table', `put it below [${tables[0]}], or below a profile`);
    if (!tables.includes(name)) throw unknown(name, 'is no profile', name, tables);
    found[name] = settingsOf(name, table, ignored);
  }
  return { tables: found, ignored };
}

function settingsOf(table: string, entries: object, ignored: string[]): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(entries)) {
    const place = `${table}.${key}`;
    const setting = Object.hasOwn(counterparts, key) ? counterparts[key] : undefined;
    if (setting !== undefined) settings[setting] = plain(place, value);
    else if (key === LIMITS) Object.assign(settings, limitsOf(place, value, ignored));
    else if (key === TLS)
      throw invalid(
        place,
        'there is no TLS in this service',
        'put a proxy in front of it, and remove the key',
      );
    else if (withoutEffect.includes(key)) ignored.push(place);
    else throw unknown(place, 'is not a setting', key, known);
  }
  return settings;
}

function limitsOf(place: string, value: unknown, ignored: string[]): Record<string, unknown> {
  if (!isTable(value)) throw invalid(place, 'must be a table');
  const settings: Record<string, unknown> = {};
  for (const [name, limit] of Object.entries(value)) {
    const at = `${place}.${name}`;
    // Limits of single kinds of files are written as file/jpg.
    const isOther = limitsWithoutEffect.includes(name) || name.startsWith('file/');
    if (name !== JSON_LIMIT && !isOther)
      throw unknown(at, 'is no limit', name, [JSON_LIMIT, ...limitsWithoutEffect]);
    const bytes = typeof limit === 'string' ? parseByteSize(limit) : plain(at, limit);
    if (bytes === undefined) throw invalid(at, 'must be a number of bytes, or a text such as "1MiB"');
    if (isOther) ignored.push(at);
    else settings['maxBodyBytes'] = bytes;
  }
  return settings;
}

/** Integers as the schema of the settings reads them. TOML tells 8001 from 8001.0, and so does Rocket. */
function plain(place: string, value: unknown): unknown {
  if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) return Number(value);
  if (typeof value === 'string') return value;
  throw invalid(place, 'must be a text or a whole number');
}

function parseToml(text: string): object {
  try {
    return parse(text, { integersAsBigInt: true, unsafeKeyBehaviour: 'throw', maxDepth: 8 });
  } catch (error) {
    // The parser's message shows lines of the file, and secret_key may be one of them.
    throw invalid('file', error instanceof TomlError ? `is not TOML, line ${error.line}` : 'is not TOML');
  }
}

const isTable = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);

const invalid = (field: string, why: string, hint?: string): EvidenceError =>
  new EvidenceError('DECRYPTIONS_CONFIG_INVALID', `${field}: ${why}`, {
    field,
    ...(hint === undefined ? {} : { hint }),
  });

function unknown(field: string, why: string, name: string, names: readonly string[]): EvidenceError {
  const nearest = nearestName(name, names);
  return invalid(
    field,
    why,
    nearest === undefined ? 'docs/decryptions.md lists what is read' : `did you mean ${nearest}?`,
  );
}
