import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { sr25519PublicKey, sr25519Sign } from '../../../src/crypto/sr25519.ts';
import type { Decryption } from '../../../src/decryptions/decryption.ts';
import {
  DecryptionService,
  type DecryptionServiceOptions,
} from '../../../src/decryptions/decryption-service.ts';
import { decryptionsApp } from '../../../src/decryptions/decryptions-app.ts';
import { EtcdTable } from '../../../src/decryptions/etcd/etcd-table.ts';
import { signedWriteBytes } from '../../../src/decryptions/write-authorization.ts';
import { newPrefix } from '../../support/decryption-engines.ts';
import { type EtcdCluster, etcdctl, hasEtcd, startEtcd } from '../../support/etcd.ts';

const keyOf = (number: number): string => number.toString(16).padStart(64, '0');
const KEY = keyOf(1);
const of = (value: number): Decryption => ({ value: BigInt(value), signature: Uint8Array.of(value & 255) });
const WAIT = { maxExpectedOracleDelayMs: 600_000 };

describe.skipIf(!hasEtcd)('several instances on one etcd', () => {
  let cluster: EtcdCluster;
  const closing: (() => void)[] = [];
  beforeAll(async () => {
    cluster = await startEtcd();
  });
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  async function instance(
    prefix: string,
    options: DecryptionServiceOptions = {},
  ): Promise<DecryptionService> {
    const table = await EtcdTable.open({ endpoints: cluster.endpoints, prefix });
    const service = DecryptionService.on(table, options);
    closing.push(() => {
      service.close();
      table.close();
    });
    return service;
  }
  const instances = async (count: number, options: DecryptionServiceOptions = {}) => {
    const prefix = newPrefix();
    return Promise.all(Array.from({ length: count }, () => instance(prefix, options)));
  };

  it('a GET that waits at one instance is answered by a PUT at another', async () => {
    const [a, b, c] = await instances(3, WAIT);
    const waiting = [b?.get(KEY), c?.get(KEY), a?.get(KEY)];
    await a?.put(KEY, of(7));
    expect(await Promise.all(waiting)).toEqual([of(7), of(7), of(7)]);
  });

  it('two instances that write one key without overwriting: one is told of the conflict, and one value stays', async () => {
    const [a, b] = await instances(2, { ...WAIT, overwrite: false });
    for (let round = 0; round < 20; round += 1) {
      const key = keyOf(round);
      const outcomes = await Promise.allSettled([a?.put(key, of(1)), b?.put(key, of(2))]);
      const kinds = outcomes.map(({ status }) => status).sort();
      expect(kinds).toEqual(['fulfilled', 'rejected']);
      expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
        reason: { code: 'DECRYPTION_CONFLICT' },
      });
      const winner = outcomes[0]?.status === 'fulfilled' ? 1 : 2;
      expect([await a?.get(key), await b?.get(key)]).toEqual([of(winner), of(winner)]);
    }
  });

  it('the first of several oracles at several instances is the result, and their number stays within the limit', async () => {
    const all = await instances(3, { ...WAIT, maxSignaturesPerKey: 4 });
    const writes = Array.from({ length: 9 }, (_, oracle) =>
      all[oracle % 3]?.putSignature(KEY, `oracle-${oracle}`, of(oracle)),
    );
    const outcomes = await Promise.allSettled(writes);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'DECRYPTION_SIGNATURES_FULL' });
    const signatures = (await all[0]?.signatures(KEY)) ?? [];
    expect(signatures).toHaveLength(4);
    const result = await all[1]?.get(KEY);
    const first = [...signatures].sort((x, y) => x.storedAtMs - y.storedAtMs)[0]?.storedAtMs;
    expect(signatures.some(({ value }) => value === result?.value)).toBe(true);
    expect(first).toBeGreaterThan(0);
  });

  it('instances that prune at the same time remove the surplus, and no more', async () => {
    const all = await instances(3);
    for (let number = 0; number < 150; number += 1) await all[0]?.put(keyOf(number), of(number));
    const removed = await Promise.all(all.map((each) => each.prune({ maxCount: 50 })));
    expect(removed.reduce((sum, count) => sum + count, 0)).toBe(100);
    expect(await all[1]?.size()).toBe(50);
    expect(await all[2]?.get(keyOf(100), { waitMs: 0 })).toEqual(of(100));
    expect(await all[2]?.get(keyOf(99), { waitMs: 0 })).toBeUndefined();
  });

  it('a result that another instance writes anew is not pruned for its former age', async () => {
    const prefix = newPrefix();
    const a = await instance(prefix);
    const b = await instance(prefix);
    await a.put(KEY, of(1));
    const [entry] = (await tableOf(prefix).then((table) => table.oldest(1))).entries;
    await new Promise((resolve) => setTimeout(resolve, 5));
    await b.put(KEY, of(2));
    const table = await tableOf(prefix);
    expect(await table.remove(KEY, entry?.storedAtMs)).toBe(false);
    expect(await a.get(KEY)).toEqual(of(2));
  });
  async function tableOf(prefix: string): Promise<EtcdTable> {
    const table = await EtcdTable.open({ endpoints: cluster.endpoints, prefix });
    closing.push(() => table.close());
    return table;
  }

  it('a deletion at one instance is seen at another, and the key is waited for again', async () => {
    const [a, b] = await instances(2, WAIT);
    await a?.putSignature(KEY, 'x', of(1));
    expect(await b?.delete(KEY)).toBe(true);
    expect(await a?.delete(KEY)).toBe(false);
    expect(await a?.signatures(KEY)).toEqual([]);
    const waiting = a?.get(KEY);
    await b?.put(KEY, of(2));
    expect(await waiting).toEqual(of(2));
  });

  it('a signed write that was recorded at one instance is refused at every other one', async () => {
    const seed = new Uint8Array(32).fill(7);
    const writeAuthorization = {
      kind: 'sr25519',
      accounts: [AccountId.of(sr25519PublicKey(seed))],
    } as const;
    const [a, b] = (await instances(2)).map((service) => decryptionsApp(service, { writeAuthorization }));
    const path = `/decryption/${KEY}`;
    const signed = (value: number, timestampMs: number): RequestInit => {
      const body = `{"value":${value},"signature":"YmI="}`;
      const bytes = signedWriteBytes('PUT', path, timestampMs, new TextEncoder().encode(body));
      return {
        method: 'PUT',
        body,
        headers: {
          'latchkey-account': encodeSs58(sr25519PublicKey(seed)),
          'latchkey-timestamp': String(timestampMs),
          'latchkey-signature': toHex(sr25519Sign(seed, bytes)),
        },
      };
    };
    const nowMs = Date.now();
    // Both were signed before the instances started; what is known does not end with an instance.
    const first = signed(1, nowMs - 20_000);
    expect((await a?.request(path, first))?.status).toBe(200);
    expect((await b?.request(path, first))?.status).toBe(401);
    expect((await b?.request(path, signed(2, nowMs - 10_000)))?.status).toBe(200);
    expect((await a?.request(path, first))?.status).toBe(401);
    expect(await (await a?.request(path))?.text()).toContain('"value":2,');
    // Leases that somebody revoked are made again.
    const endpoint = cluster.endpoints[0] ?? '';
    for (const [lease] of etcdctl(endpoint, 'lease', 'list').matchAll(/[0-9a-f]{16}/g))
      etcdctl(endpoint, 'lease', 'revoke', lease);
    expect((await b?.request(path, signed(3, nowMs)))?.status).toBe(200);
    expect((await a?.request(path, signed(3, nowMs)))?.status).toBe(401);
  });

  it('results that are together larger than one answer of etcd are read, and one that etcd refuses is 413', async () => {
    const [a] = await instances(1, WAIT);
    const large = (value: number): Decryption => ({
      value: BigInt(value),
      signature: new Uint8Array(700 * 1024).fill(value),
    });
    for (let number = 0; number < 12; number += 1) {
      await a?.put(keyOf(number), large(number));
      await a?.putSignature(keyOf(99), `oracle-${number}`, large(number));
    }
    const found = await Promise.all(Array.from({ length: 12 }, (_, number) => a?.get(keyOf(number))));
    expect(found.map((each) => [each?.value, each?.signature[5]])).toEqual(
      found.map((_, number) => [BigInt(number), number]),
    );
    const signatures = (await a?.signatures(keyOf(99))) ?? [];
    expect(signatures.map(({ signature }) => signature.length)).toEqual(Array(12).fill(700 * 1024));
    const tooLarge = a?.put(KEY, { value: 1n, signature: new Uint8Array(1_600_000) });
    await expect(tooLarge).rejects.toMatchObject({ code: 'BODY_TOO_LARGE', status: 413 });
  });

  it('a compacted revision: what was written meanwhile is found by reading again', async () => {
    const prefix = newPrefix();
    const table = await EtcdTable.open({ endpoints: cluster.endpoints, prefix });
    closing.push(() => table.close());
    const missed = new Promise<void>((resolve) => {
      table.listen({ wants: () => true, wrote: () => undefined, missed: resolve });
    });
    // Writes outside of the prefix move the revision; the watch is made again from the old one after its silence.
    const endpoint = cluster.endpoints[0] ?? '';
    for (let number = 0; number < 5; number += 1) etcdctl(endpoint, 'put', 'other', String(number));
    const { revision } = await table.read(KEY);
    etcdctl(endpoint, 'compaction', String(revision));
    await missed;
    expect(table.health()).toMatchObject({ engine: 'etcd' });
  });

  it('values are in clear below the prefix, and a foreign record there does no harm', async () => {
    const prefix = newPrefix();
    const a = await instance(prefix, { maxExpectedOracleDelayMs: 50 });
    const endpoint = cluster.endpoints[0] ?? '';
    etcdctl(endpoint, 'put', `${prefix}results/${KEY}`, 'no record of ours');
    await expect(a.get(KEY)).rejects.toMatchObject({ code: 'DECRYPTION_RECORD_DAMAGED' });
    await expect(a.put(KEY, of(1))).rejects.toMatchObject({ code: 'DECRYPTION_RECORD_DAMAGED' });
    etcdctl(endpoint, 'put', `${prefix}times/nonsense`, '');
    await expect(a.prune({ maxCount: 0 })).rejects.toMatchObject({ code: 'DECRYPTION_RECORD_DAMAGED' });
    await a.put(keyOf(2), { value: 42n, signature: new TextEncoder().encode('readable') });
    expect(etcdctl(endpoint, 'get', `${prefix}results/${keyOf(2)}`)).toContain('readable');
  });
});
