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
  ])('the variable %s is found', (name) => {
    expect(namesOf({ [name]: 'x' })).toEqual([name]);
    expect(namesOf({ [name]: '' })).toEqual([]);
  });

  it.each([
    ['--inspect', '--inspect'],
    ['--inspect-brk=0.0.0.0:1', '--inspect-brk'],
    ['--import', '--import'],
    ['--require=./x.js', '--require'],
    ['-r', '-r'],
    ['--env-file=.env', '--env-file'],
    ['--tls-keylog=/tmp/keys', '--tls-keylog'],
    ['--insecure-http-parser', '--insecure-http-parser'],
  ])('the flag %s is found', (flag, name) => {
    expect(namesOf({}, [flag])).toEqual([name]);
  });

  it('normal variables of a service are not reported', () => {
    const environment = {
      PATH: '/bin',
      HOME: '/root',
      NODE_ENV: 'production',
      NODE_VERSION: '24',
      LANG: 'C',
    };
    expect(namesOf(environment, ['--max-old-space-size=512', '--enable-source-maps'])).toEqual([]);
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
    }
  });
});
