import { describe, expect, it } from 'vitest';
import { refuseUnmeasuredInputs, unmeasuredInputs } from '../../../src/config/unmeasured-environment.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';

const namesOf = (environment: Record<string, string>, flags: readonly string[] = []): string[] =>
  unmeasuredInputs(environment, flags).map(({ name }) => name);

describe('variables and flags that change the process', () => {
  it.each([
    'NODE_OPTIONS',
    'NODE_EXTRA_CA_CERTS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'NODE_PATH',
    'NODE_DEBUG',
    'NODE_V8_COVERAGE',
    'LD_PRELOAD',
    'LD_LIBRARY_PATH',
    'LD_AUDIT',
    'OPENSSL_CONF',
    'OPENSSL_MODULES',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
    'SSLKEYLOGFILE',
    'GLIBC_TUNABLES',
    'GCONV_PATH',
    'HOSTALIASES',
    'RES_OPTIONS',
    'RESOLV_HOST_CONF',
    'CARES_HOSTS',
    'CTLOG_FILE',
    'ICU_TIMEZONE_FILES_DIR',
    'LOCPATH',
    'NLSPATH',
    'TZDIR',
    'MALLOC_CONF',
    'MALLOC_TRACE',
  ])('the variable %s is found', (name) => {
    expect(namesOf({ [name]: 'x' })).toEqual([name]);
    expect(namesOf({ [name]: '' })).toEqual([]);
  });

  it.each([
    // Loads code.
    '--import',
    '--require=./x.js',
    '-r',
    '-e',
    '-pe',
    '--experimental_loader=./x.js',
    '--conditions=evil',
    '-C',
    '--snapshot-blob=x',
    '--experimental-config-file=x.json',
    '--openssl_config=x.cnf',
    '--env_file=.env',
    '--env-file-if-exists=.env',
    // Opens the debugger.
    '--inspect',
    '--inspect-brk=0.0.0.0:1',
    // Carries the memory of the process into a file.
    '--heapsnapshot-signal=SIGUSR2',
    '--heapsnapshot-near-heap-limit=1',
    '--heap-prof',
    '--cpu-prof',
    '--report-on-signal',
    '--abort-on-uncaught-exception',
    // Changes TLS, or shows what it carries.
    '--use-system-ca',
    '--trace-tls',
    '--tls_keylog=/tmp/keys',
    '--tls-keylog=/tmp/keys',
    '--insecure-http-parser',
    // Changes the code that V8 makes.
    '--jitless',
    '--allow-natives-syntax',
    // Node has no such flag today.
    '--a-flag-of-the-next-release',
    '-',
    '--',
  ])('the flag %s is found', (flag) => {
    expect(namesOf({}, [flag])).toEqual([flag.split('=', 1)[0]]);
  });

  it.each([
    ['--max-old-space-size=512'],
    ['--max_old_space_size=512'],
    ['--max-old-space-size-percentage=50'],
    ['--max-semi-space-size=16'],
    ['--stack-trace-limit=50'],
    ['--stack_trace_limit=50'],
    ['--no-warnings'],
    ['--no-deprecation'],
    ['--disable-warning=DEP0040'],
    ['--disable-warning', 'DEP0040'],
    ['--enable-source-maps'],
    ['--dns-result-order=ipv4first'],
  ])('a service may have the flag %s', (...flags) => {
    expect(namesOf({}, flags)).toEqual([]);
  });

  it('the value of a refused flag is neither judged nor shown', () => {
    expect(namesOf({}, ['--max-old-space-size=9', '--import', './secret-place.js', '--no-warnings'])).toEqual(
      ['--import'],
    );
  });

  it('normal variables of a service are not reported', () => {
    const environment = {
      PATH: '/bin',
      HOME: '/root',
      NODE_ENV: 'production',
      NODE_VERSION: '24',
      LANG: 'C',
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      MALLOC_ARENA_MAX: '2',
      UV_THREADPOOL_SIZE: '8',
    };
    expect(namesOf(environment)).toEqual([]);
    expect(() => refuseUnmeasuredInputs(environment, [])).not.toThrow();
  });

  it('the refusal names all of them without their values', () => {
    try {
      refuseUnmeasuredInputs({ NODE_OPTIONS: '--import /secret-place', LD_PRELOAD: '/evil.so' }, [
        '--inspect',
      ]);
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      expect(error.code).toBe('ENVIRONMENT_REFUSED');
      for (const name of ['NODE_OPTIONS', 'LD_PRELOAD', '--inspect']) expect(error.message).toContain(name);
      expect(error.message).not.toMatch(/secret-place|evil/);
      expect(error.hint).toContain('--max-old-space-size');
    }
  });
});
