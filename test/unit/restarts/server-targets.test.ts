import { describe, expect, it } from 'vitest';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { serverTargets } from '../../../src/restarts/server-targets.ts';

const servers = (...endpoints: readonly string[]) =>
  endpoints.map((endpoint, index) => ({
    account: AccountId.of(new Uint8Array(32).fill(index + 1)),
    endpoint,
  }));
/** The endpoints that are asked. */
const asked = (...endpoints: readonly string[]) =>
  serverTargets(servers(...endpoints))
    .filter(({ notAsked }) => notAsked === undefined)
    .map(({ target }) => target);

describe('which addresses of the chain are asked', () => {
  it.each([
    '127.0.0.1:9302',
    '127.1.2.3:80',
    '0.0.0.0:9302',
    'localhost:9302',
    'LocalHost:9302',
    'admin.localhost:80',
    '169.254.169.254:80',
    '[::1]:9302',
    '[::]:9302',
    '[::ffff:127.0.0.1]:9302',
    '[::ffff:a9fe:a9fe]:80',
    '[fe80::1]:80',
    '[febf::1]:80',
    '[fd00:ec2::254]:80',
  ])('not %s, which names the asking machine or its link', (endpoint) => {
    expect(asked('10.0.0.5:3001', endpoint)).toEqual(['http://10.0.0.5:3001']);
    const [, refused] = serverTargets(servers('10.0.0.5:3001', endpoint));
    expect(refused).toMatchObject({ notAsked: expect.stringContaining('machine that asks') });
  });

  it.each([
    '10.0.0.6:3001',
    'node.example:3001',
    '[2001:db8::1]:3001',
    '128.0.0.1:80',
    'localhost.example:80',
  ])('%s is asked', (endpoint) => {
    expect(asked('10.0.0.5:3001', endpoint)).toEqual(['http://10.0.0.5:3001', `http://${endpoint}`]);
  });

  it('a development network on one machine is asked: all its servers are there', () => {
    expect(asked('127.0.0.1:3001', '127.0.0.1:3002')).toHaveLength(2);
  });

  it.each(['10.0.0.5:3001/admin', 'user@10.0.0.5:80', '/etc/passwd', '127.0.0.1:80#:1'])(
    '%s is no address, and also takes nothing back from the rule on the own machine',
    (endpoint) => {
      expect(asked(endpoint)).toEqual([]);
      expect(asked(endpoint, '127.0.0.1:3001')).toEqual([]);
    },
  );
});
