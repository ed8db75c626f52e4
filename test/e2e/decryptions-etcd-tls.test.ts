import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { DecryptionService } from '../../src/decryptions/decryption-service.ts';
import { EtcdTable, type EtcdTableOptions } from '../../src/decryptions/etcd/etcd-table.ts';
import { builtCli } from '../support/built-cli.ts';
import { type EtcdCluster, etcdctl, hasEtcd, startEtcd } from '../support/etcd.ts';
import { tempFolder } from '../support/temp-folder.ts';

const KEY = 'c4'.repeat(32);
const PASSWORD = 'a password of some length';

/** An authority, and a certificate of it for 127.0.0.1 that serves both sides. */
function makeCertificates(folder: string): void {
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  for (const name of ['ca', 'other-ca'])
    openssl('req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`);
  openssl('req', ...key.slice(0, -2), '-keyout', 'member.key', '-out', 'member.csr', '-subj', '/O=etcd');
  execFileSync('sh', ['-c', 'printf "subjectAltName=IP:127.0.0.1\\n" > member.ext'], { cwd: folder });
  openssl(
    ...['x509', '-req', '-in', 'member.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
    ...['-days', '2', '-extfile', 'member.ext', '-out', 'member.pem'],
  );
}

describe.skipIf(!hasEtcd)('a cluster with TLS, certificates of clients and authentication', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let cluster: EtcdCluster;
  let endpoint: string;
  const file = (name: string): string => join(folder.path, name);
  const pem = (name: string): string => readFileSync(file(name), 'utf8');

  beforeAll(async () => {
    folder = await tempFolder();
    makeCertificates(folder.path);
    const tls = ['--cert', file('member.pem'), '--key', file('member.key'), '--cacert', file('ca.pem')];
    cluster = await startEtcd({
      scheme: 'https',
      args: [
        ...['--cert-file', file('member.pem'), '--key-file', file('member.key')],
        ...['--client-cert-auth', '--trusted-ca-file', file('ca.pem'), '--auth-token-ttl', '1'],
      ],
      ctl: tls,
    });
    endpoint = cluster.endpoints[0] ?? '';
    const ctl = (...args: readonly string[]): string => etcdctl(endpoint, ...tls, ...args);
    ctl('user', 'add', 'root:root-password');
    ctl('user', 'grant-role', 'root', 'root');
    ctl('user', 'add', `latchkey:${PASSWORD}`);
    ctl('role', 'add', 'latchkey');
    ctl('role', 'grant-permission', 'latchkey', '--prefix=true', 'readwrite', 'mine/');
    ctl('user', 'grant-role', 'latchkey', 'latchkey');
    ctl('auth', 'enable');
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  const options = (): EtcdTableOptions => ({
    endpoints: [endpoint],
    prefix: 'mine/',
    operationTimeoutMs: 2000,
    tls: { ca: pem('ca.pem'), cert: pem('member.pem'), key: pem('member.key') },
    user: { name: 'latchkey', password: new SecretBytes(new TextEncoder().encode(PASSWORD)) },
  });

  it('results are written and waited for; a token that has ended is made again', async () => {
    using table = await EtcdTable.open({ ...options(), operationTimeoutMs: 10_000 });
    const service = DecryptionService.on(table, { maxExpectedOracleDelayMs: 600_000 });
    const waiting = service.get(KEY);
    await service.put(KEY, { value: 1n, signature: new Uint8Array(1) });
    expect((await waiting)?.value).toBe(1n);
    // Tokens of this cluster live for a second.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect((await service.get(KEY))?.value).toBe(1n);
    service.close();
  });

  it.each([
    ['no certificate', { tls: () => ({ ca: pem('ca.pem') }) }, 'DECRYPTIONS_ENGINE_UNAVAILABLE'],
    [
      'another authority',
      { tls: () => ({ ...options().tls, ca: pem('other-ca.pem') }) },
      'DECRYPTIONS_ENGINE_UNAVAILABLE',
    ],
    ['http', { endpoints: () => [endpoint.replace('https', 'http')] }, 'DECRYPTIONS_ENGINE_UNAVAILABLE'],
    [
      'a wrong password',
      { user: () => ({ name: 'latchkey', password: new SecretBytes(new Uint8Array([65])) }) },
      'DECRYPTIONS_ENGINE_REFUSED',
    ],
    ['no user', { user: () => undefined }, 'DECRYPTIONS_ENGINE_REFUSED'],
    ['a prefix that its role does not allow', { prefix: () => 'theirs/' }, 'DECRYPTIONS_ENGINE_REFUSED'],
  ])('%s is refused', async (_name, changes: Record<string, () => unknown>, code) => {
    const changed = Object.fromEntries(Object.entries(changes).map(([name, make]) => [name, make()]));
    // The table of cases gives each option its own type.
    const wrong = { ...options(), ...changed } as EtcdTableOptions;
    await expect(EtcdTable.open(wrong)).rejects.toMatchObject({ code });
  });

  it('a certificate of another name is refused', async () => {
    const named = { ...options(), endpoints: [endpoint.replace('127.0.0.1', 'localhost')] };
    await expect(EtcdTable.open(named)).rejects.toMatchObject({
      code: 'DECRYPTIONS_ENGINE_UNAVAILABLE',
      message: expect.stringContaining('does not match'),
    });
  });

  it('no variable of the environment turns the check of certificates off', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const wrong = { ...options(), tls: { ...options().tls, ca: pem('other-ca.pem') } };
      await expect(EtcdTable.open(wrong)).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_UNAVAILABLE' });
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
  });

  it('latchkey decryptions serve: two processes, a PUT to one answers a GET at the other; /readyz says that etcd is there', async () => {
    await writeFile(file('password'), `${PASSWORD}\n`, { mode: 0o600 });
    await writeFile(
      file('config.yaml'),
      `default: { port: 0, metricsPort: 0, maxExpectedOracleDelayMs: 60000, engine: { etcd: { prefix: mine/,
        endpoints: ["${endpoint}"], user: { name: latchkey, passwordFile: ${file('password')} },
        tls: { caFile: ${file('ca.pem')}, certFile: ${file('member.pem')}, keyFile: ${file('member.key')} } } } }`,
    );
    const start = async () => {
      const child = spawn(
        process.execPath,
        [builtCli, 'decryptions', 'serve', '--config', file('config.yaml')],
        {
          env: { PATH: process.env['PATH'] ?? '' },
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      let printed = '';
      for await (const part of child.stdout) {
        printed += part;
        if (printed.includes('\n')) break;
      }
      // The line that the command prints when it is ready.
      return { child, ...(JSON.parse(printed) as { url: string; metricsUrl: string }) };
    };
    const [a, b] = [await start(), await start()];
    try {
      const key = 'd5'.repeat(32);
      const waiting = fetch(`${b.url}/decryption/${key}`);
      const put = await fetch(`${a.url}/decryption/${key}`, { method: 'PUT', body: '[7,"YmI="]' });
      expect(put.status).toBe(200);
      expect(await (await waiting).text()).toBe('{"value":7,"signature":"YmI="}');
      const readiness = async () => {
        const answer = await fetch(`${a.metricsUrl}/readyz`);
        return { status: answer.status, body: await answer.json() };
      };
      while ((await readiness()).status !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await readiness()).toEqual({ status: 200, body: { ready: true, engine: 'etcd' } });
      const metrics = async () => (await fetch(`${a.metricsUrl}/metrics`)).text();
      expect(await metrics()).toContain('latchkey_decryptions_engine_ready{engine="etcd"} 1');
      await cluster.members[0]?.kill('SIGKILL');
      while ((await readiness()).status !== 503) await new Promise((resolve) => setTimeout(resolve, 20));
      expect((await readiness()).body).toMatchObject({ ready: false, engine: 'etcd' });
      expect(await metrics()).toContain('latchkey_decryptions_engine_ready{engine="etcd"} 0');
    } finally {
      const ended = [a, b].map(({ child }) => once(child, 'exit'));
      for (const { child } of [a, b]) child.kill('SIGTERM');
      expect((await Promise.all(ended)).map(([code]) => code)).toEqual([0, 0]);
    }
  });
});
