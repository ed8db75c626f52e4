import { isAbsolute } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { nearestName } from '../errors/nearest-name.ts';
import { readRocketToml, withoutEffect } from './rocket-toml.ts';

const path = z.string().refine(isAbsolute, 'must be an absolute path');
const count = z.int().min(1);

/** `http://host:port`; no path and no user, which would be ignored. */
const ENDPOINT = /^https?:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$/;

/** A cluster of etcd that holds the results, for several instances of the service. */
const etcd = z.strictObject({
  endpoints: z
    .array(z.string().regex(ENDPOINT, 'must be http://host:port or https://host:port'))
    .min(1)
    .max(16),
  /** Begins the names of all records. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,198}\/$/, 'must be a path that ends with a slash')
    .default('latchkey/decryptions/'),
  /** Authorities of the members, and the certificate of this service, as PEM files. */
  tls: z
    .strictObject({ caFile: path.optional(), certFile: path.optional(), keyFile: path.optional() })
    .optional(),
  user: z.strictObject({ name: z.string().min(1).max(256), passwordFile: path }).optional(),
  /** For one exchange with one member, in milliseconds. */
  requestTimeoutMs: z.int().min(100).max(60_000).default(3000),
});

/** Where the results are, and how this service shows who it is. */
export type EtcdSettings = z.infer<typeof etcd>;

const settings = z.strictObject({
  /** Where to listen. */
  address: z.string().min(1),
  port: z.int().min(0).max(65_535),
  /** How long a GET waits for the PUT, in milliseconds. */
  maxExpectedOracleDelayMs: z.int().min(0).max(3_600_000),
  storePath: path,
  /** Without it, the sealed store of `storePath`. */
  engine: z.strictObject({ etcd }),
  /** File with the password of the store; a final newline is ignored. */
  passwordFile: path,
  maxWaiters: count.max(1_000_000),
  /** Requests that one network may have under way; absent: a part of `maxWaiters`. */
  maxWaitersPerNetwork: count.max(1_000_000),
  maxBodyBytes: count.max(8 * 1024 * 1024),
  overwrite: z.boolean(),
  allowDelete: z.boolean(),
  maxSignaturesPerKey: count.max(1000),
  writeAuthorization: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('open') }),
    z.strictObject({ kind: z.literal('bearer'), tokenFile: path }),
    z.strictObject({ kind: z.literal('sr25519'), accounts: z.array(z.string()).min(1) }),
  ]),
  prune: z.strictObject({
    everyMs: count,
    maxAgeMs: z.int().min(0).optional(),
    maxCount: z.int().min(0).optional(),
  }),
  /** Port of the metrics on the same address; absent: none. */
  metricsPort: z.int().min(0).max(65_535),
});
const partialSettings = settings.partial();
const complete = settings.partial({
  prune: true,
  metricsPort: true,
  maxWaitersPerNetwork: true,
  engine: true,
  storePath: true,
  passwordFile: true,
});

/** Configuration of the decryption service; secrets are named by their files. */
export type DecryptionsConfig = z.infer<typeof complete>;

/** The profiles of the original. */
export const decryptionsProfiles = ['debug', 'release', 'testing'] as const;
export type DecryptionsProfile = (typeof decryptionsProfiles)[number];

const file = z.strictObject({
  default: partialSettings.optional(),
  debug: partialSettings.optional(),
  release: partialSettings.optional(),
  testing: partialSettings.optional(),
});

/** The tables of a Rocket.toml, after the translation of its names. */
const rocketTables = file.extend({ global: partialSettings.optional() });

const defaults = {
  address: '127.0.0.1',
  port: 8001,
  maxExpectedOracleDelayMs: 7000,
  maxWaiters: 16_384,
  maxBodyBytes: 1024 * 1024,
  overwrite: true,
  allowDelete: false,
  maxSignaturesPerKey: 64,
  writeAuthorization: { kind: 'open' },
} as const;

const profileDefaults: Readonly<Record<DecryptionsProfile, object>> = {
  debug: {},
  release: { storePath: '/var/lib/latchkey/decryptions' },
  testing: { maxExpectedOracleDelayMs: 2, port: 0 },
};

/** Settings that the environment may override, by the variable's name without its prefix. */
const variables: Readonly<Record<string, keyof z.infer<typeof settings>>> = {
  ADDRESS: 'address',
  PORT: 'port',
  MAX_EXPECTED_ORACLE_DELAY_MS: 'maxExpectedOracleDelayMs',
  STORE_PATH: 'storePath',
  DB_PATH: 'storePath',
  PASSWORD_FILE: 'passwordFile',
  MAX_WAITERS: 'maxWaiters',
  MAX_WAITERS_PER_NETWORK: 'maxWaitersPerNetwork',
  OVERWRITE: 'overwrite',
  ALLOW_DELETE: 'allowDelete',
  METRICS_PORT: 'metricsPort',
};
/** Ours, and the names that the original reads; ours win. */
const prefixes = ['ROCKET_', 'DECRYPTIONS_'] as const;
const PROFILE = 'PROFILE';
const ROCKET = 'ROCKET_';
/** Variables that Rocket 0.5 reads and that have no effect here. Limits have an effect in a file only. */
const variablesWithoutEffect: ReadonlySet<string> = new Set(
  [...withoutEffect, 'limits'].map((name) => ROCKET + name.toUpperCase()),
);
/** Variables of Rocket whose absence would change what an operator relies on, with what to do. */
const refusedVariables: Readonly<Record<string, string>> = {
  ROCKET_TLS: 'there is no TLS in this service: put a proxy in front of it, and remove the variable',
  ROCKET_CONFIG: 'give the file with --config, and remove the variable',
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The configuration: defaults, the file's `default`, its section for the profile, then the environment.
 * @param text YAML of the file; empty for none.
 * @param profile by default the environment's (`DECRYPTIONS_PROFILE`), else `release`.
 * @throws EvidenceError DECRYPTIONS_CONFIG_INVALID naming the place, or the variable of the environment that does not
 *   exist, so that a misspelt one is not ignored.
 */
export function loadDecryptionsConfig(
  text: string,
  environment: Environment,
  profile: string = profileOf(environment),
): DecryptionsConfig {
  refuseUnknownVariables(environment);
  const chosen = knownProfile(profile);
  const sections = check(file, parseYaml(text));
  return resolve(chosen, [sections.default, sections[chosen]], environment);
}

/** A configuration, and what the file says in vain. */
export interface RocketConfig {
  readonly config: DecryptionsConfig;
  /** Settings of Rocket that have no effect here, as `table.key`. */
  readonly ignored: readonly string[];
}

/**
 * As {@link loadDecryptionsConfig}, from the `Rocket.toml` of the original service. Its table `global` wins over the
 * profile, as in Rocket, and the environment over both.
 * @throws EvidenceError DECRYPTIONS_CONFIG_INVALID, also for a mistake in a profile that is not the chosen one.
 */
export function loadRocketConfig(
  text: string,
  environment: Environment,
  profile: string = profileOf(environment),
): RocketConfig {
  refuseUnknownVariables(environment);
  const chosen = knownProfile(profile);
  const { tables, ignored } = readRocketToml(text, ['default', ...decryptionsProfiles, 'global']);
  const { default: base, [chosen]: own, global } = check(rocketTables, tables);
  return { config: resolve(chosen, [base, own, global], environment), ignored };
}

const profileOf = (environment: Environment): string =>
  environment['DECRYPTIONS_PROFILE'] ?? environment['ROCKET_PROFILE'] ?? 'release';

function knownProfile(profile: string): DecryptionsProfile {
  const chosen = decryptionsProfiles.find((known) => known === profile);
  if (chosen === undefined)
    throw invalid('profile', `${profile} is none of ${decryptionsProfiles.join(', ')}`);
  return chosen;
}

function resolve(
  profile: DecryptionsProfile,
  sections: readonly (object | undefined)[],
  environment: Environment,
): DecryptionsConfig {
  const layers = [defaults, profileDefaults[profile], ...sections, fromEnvironment(environment)];
  const merged: unknown = Object.assign({}, ...layers);
  const config = check(complete, merged);
  checkAccounts(config);
  if (config.engine === undefined) return requireStore(config);
  checkEtcd(config.engine.etcd, config.maxBodyBytes);
  // The service has no store then.
  const { storePath: _path, passwordFile: _file, ...rest } = config;
  return rest;
}

const PASSWORD_HINT = 'set it in the file (`password_file` in Rocket.toml), or as DECRYPTIONS_PASSWORD_FILE';

function requireStore(config: DecryptionsConfig): DecryptionsConfig {
  for (const field of ['storePath', 'passwordFile'] as const)
    if (config[field] === undefined)
      throw new EvidenceError('DECRYPTIONS_CONFIG_INVALID', `${field}: must be given, or engine.etcd`, {
        field,
        ...(field === 'passwordFile' ? { hint: PASSWORD_HINT } : {}),
      });
  return config;
}

/** Base64 makes an answer a third larger than the body, and an answer of etcd is read up to 8 MiB. */
const MAX_ETCD_BODY_BYTES = 4 * 1024 * 1024;

function checkEtcd({ endpoints, tls }: EtcdSettings, maxBodyBytes: number): void {
  const field = 'engine.etcd';
  const secure = endpoints.filter((endpoint) => endpoint.startsWith('https:')).length;
  if (secure !== 0 && secure !== endpoints.length)
    throw invalid(`${field}.endpoints`, 'must be all http or all https');
  if (new Set(endpoints).size !== endpoints.length)
    throw invalid(`${field}.endpoints`, 'names a member twice');
  if (tls !== undefined && secure === 0) throw invalid(`${field}.tls`, 'has no effect on http endpoints');
  if ((tls?.certFile === undefined) !== (tls?.keyFile === undefined))
    throw invalid(`${field}.tls`, 'certFile and keyFile belong together');
  if (maxBodyBytes > MAX_ETCD_BODY_BYTES)
    throw invalid('maxBodyBytes', `must be at most ${MAX_ETCD_BODY_BYTES} with engine.etcd`);
}

function parseYaml(text: string): unknown {
  try {
    return parse(text) ?? {};
  } catch (cause) {
    throw invalid('file', 'is not YAML', cause);
  }
}

function refuseUnknownVariables(environment: Environment): void {
  const names = [PROFILE, ...Object.keys(variables)];
  for (const [variable, text] of Object.entries(environment)) {
    const prefix = prefixes.find((known) => variable.startsWith(known));
    if (prefix === undefined || text === undefined) continue;
    const name = variable.slice(prefix.length);
    if (!names.includes(name) && !variablesWithoutEffect.has(variable))
      throw unknownVariable(variable, prefix, name, names);
  }
}

/**
 * The variables of an environment that Rocket reads and that have no effect here, as its settings in a `Rocket.toml`: for a
 * warning. Unknown variables are refused by the loaders.
 */
export const ignoredVariables = (environment: Environment): readonly string[] =>
  Object.keys(environment).filter(
    (name) => environment[name] !== undefined && variablesWithoutEffect.has(name),
  );

function unknownVariable(
  variable: string,
  prefix: string,
  name: string,
  names: readonly string[],
): EvidenceError {
  const nearest = nearestName(name, names);
  const hint =
    refusedVariables[variable] ??
    (nearest === undefined ? 'docs/decryptions.md lists the variables' : `did you mean ${prefix}${nearest}?`);
  return new EvidenceError('DECRYPTIONS_CONFIG_INVALID', `environment: ${variable} is not a setting`, {
    field: variable,
    hint,
  });
}

function fromEnvironment(environment: Environment): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const prefix of prefixes) {
    for (const [name, setting] of Object.entries(variables)) {
      const text = environment[prefix + name];
      if (text !== undefined && text !== '') found[setting] = scalar(text);
    }
  }
  return found;
}

function scalar(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : text;
}

function checkAccounts({ writeAuthorization }: DecryptionsConfig): void {
  if (writeAuthorization.kind !== 'sr25519') return;
  for (const account of writeAuthorization.accounts) {
    try {
      AccountId.parse(account, 'account');
    } catch (cause) {
      throw invalid('writeAuthorization.accounts', `${account} is no account`, cause);
    }
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalid(issue?.path.join('.') || 'file', issue?.message ?? 'is wrong');
}

const invalid = (field: string, why: string, cause?: unknown): EvidenceError =>
  new EvidenceError('DECRYPTIONS_CONFIG_INVALID', `${field}: ${why}`, { field, cause });
