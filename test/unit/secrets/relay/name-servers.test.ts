import { lookup } from 'node:dns/promises';
import { describe, expect, it } from 'vitest';
import { resolveByNameServers } from '../../../../src/secrets/relay/name-servers.ts';
import { startDnsServer } from '../../../support/dns-server.ts';

const lookupsOfTheSystem = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'GetAddrInfoReqWrap').length;

describe('names of upstream services', () => {
  it('have all their addresses, IPv4 and IPv6', async () => {
    await using dns = await startDnsServer(() => ['192.0.2.1', '192.0.2.2', '2001:db8:0:0:0:0:0:1']);
    const resolve = resolveByNameServers({ servers: [dns.address] });
    expect([...(await resolve('api.test'))].sort()).toEqual(['192.0.2.1', '192.0.2.2', '2001:db8::1']);
  });

  it('have the addresses of one family when the other one has none', async () => {
    await using dns = await startDnsServer(() => ['192.0.2.1']);
    expect(await resolveByNameServers({ servers: [dns.address] })('api.test')).toEqual(['192.0.2.1']);
  });

  it('whose server says nothing have no address after two tries', { timeout: 60_000 }, async () => {
    await using dns = await startDnsServer(() => undefined);
    expect(await resolveByNameServers({ servers: [dns.address], answerMs: 50 })('hangs.test')).toEqual([]);
    // For IPv4 and for IPv6.
    expect(dns.asked).toEqual(Array.from({ length: 4 }, () => 'hangs.test'));
  });

  it('that hang take no thread of the process, which looks up other names with few', async () => {
    await using dns = await startDnsServer(() => undefined);
    const resolve = resolveByNameServers({ servers: [dns.address], answerMs: 50 });
    const before = lookupsOfTheSystem();
    const hanging = Array.from({ length: 64 }, (_, at) => resolve(`hangs-${at}.test`));
    expect(lookupsOfTheSystem()).toBe(before);
    // The positive control: a lookup of the system is seen.
    const ofTheSystem = lookup('localhost');
    expect(lookupsOfTheSystem()).toBe(before + 1);
    await ofTheSystem;
    expect(await Promise.all(hanging)).toEqual(hanging.map(() => []));
  });
});
