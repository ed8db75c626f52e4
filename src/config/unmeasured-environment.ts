import { RefusalError } from '../errors/latchkey-error.ts';

/** Why a variable changes a Node process from outside; prefixes end in `*`. */
const refusedVariables: Readonly<Record<string, string>> = {
  NODE_OPTIONS: 'loads code, opens the debugger, changes TLS',
  NODE_EXTRA_CA_CERTS: 'adds certificate authorities',
  NODE_TLS_REJECT_UNAUTHORIZED: 'switches the check of TLS certificates off',
  NODE_PATH: 'loads code from other folders',
  'NODE_*': 'changes how Node runs',
  'LD_*': 'loads code into the process, or libraries from other folders',
  GCONV_PATH: 'loads code into the process',
  GLIBC_TUNABLES: 'changes the memory allocator and the loader',
  'MALLOC_*': 'changes the memory allocator, or writes what it does into files',
  LOCPATH: 'replaces the tables of the C library',
  NLSPATH: 'replaces the tables of the C library',
  TZDIR: 'replaces the tables of the C library',
  'ICU_*': 'replaces tables of characters and time zones',
  'OPENSSL_*': 'loads code into OpenSSL, or changes its configuration',
  SSL_CERT_FILE: 'replaces the certificate authorities',
  SSL_CERT_DIR: 'replaces the certificate authorities',
  CTLOG_FILE: 'replaces the logs of certificates',
  SSLKEYLOGFILE: 'writes the keys of TLS connections into a file',
  HOSTALIASES: 'changes where names of hosts lead',
  LOCALDOMAIN: 'changes where names of hosts lead',
  RES_OPTIONS: 'changes where names of hosts lead',
  'RESOLV_*': 'changes where names of hosts lead',
  CARES_HOSTS: 'changes where names of hosts lead',
};

/** Set by containers, shells and operators, and read by nothing on which security depends. */
const harmless = new Set(['NODE_ENV', 'NODE_VERSION', 'NODE_NO_WARNINGS', 'MALLOC_ARENA_MAX']);

/**
 * The flags of Node that a service may have: sizes of its memory, and what it prints. Every other one is refused, because
 * each release of Node adds some, and V8 has hundreds: they load code, open the debugger, write the memory into a file.
 */
const allowedFlags: readonly string[] = [
  '--max-old-space-size',
  '--max-old-space-size-percentage',
  '--max-semi-space-size',
  '--stack-trace-limit',
  '--enable-source-maps',
  '--disable-warning',
  '--no-warnings',
  '--no-deprecation',
  '--dns-result-order',
];

/** The name as it was given. */
const nameOf = (flag: string): string => flag.split('=', 1)[0] ?? flag;

/** Node reads `_` within a name as `-`. Arguments without `-` at the beginning are values of the flag before them. */
const isRefused = (flag: string): boolean =>
  flag.startsWith('-') && !allowedFlags.includes(nameOf(flag).replaceAll('_', '-'));

/** An input that the trust hash does not cover and that changes the process. */
export interface UnmeasuredInput {
  readonly name: string;
  /** What it does, in a few words. */
  readonly effect: string;
}

/** The variables and flags of this process that change it from outside; empty in a well-kept service. */
export function unmeasuredInputs(
  environment: Readonly<Record<string, string | undefined>>,
  flags: readonly string[],
): readonly UnmeasuredInput[] {
  const variables = Object.keys(environment).flatMap((name): UnmeasuredInput[] => {
    if (environment[name] === undefined || environment[name] === '' || harmless.has(name)) return [];
    const rule = Object.keys(refusedVariables).find((pattern) =>
      pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
    );
    return rule === undefined ? [] : [{ name, effect: refusedVariables[rule] ?? '' }];
  });
  const given = flags
    .filter(isRefused)
    .map((flag) => ({ name: nameOf(flag), effect: 'changes how Node runs' }));
  return [...variables, ...given];
}

/**
 * Refuses what changes this process and is in no measurement.
 * @throws RefusalError ENVIRONMENT_REFUSED naming every variable and flag, never their values.
 */
export function refuseUnmeasuredInputs(
  environment: Readonly<Record<string, string | undefined>>,
  flags: readonly string[],
): void {
  const found = unmeasuredInputs(environment, flags);
  const [first] = found;
  if (first === undefined) return;
  const text = found.map(({ name, effect }) => `${name} (${effect})`).join(', ');
  throw new RefusalError('ENVIRONMENT_REFUSED', `not covered by the trust hash: ${text}`, {
    field: first.name,
    hint: `remove them from the service; flags of Node that are allowed: ${allowedFlags.join(', ')}. Others only with --insecure-trust-root, for development`,
  });
}
