import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toBase64 } from '../../../src/bytes/base64.ts';
import { utf8 } from '../../../src/bytes/concat.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { type Decryption, encodeStored } from '../../../src/decryptions/decryption.ts';
import { DecryptionService } from '../../../src/decryptions/decryption-service.ts';
import { EtcdClient } from '../../../src/decryptions/etcd/etcd-client.ts';
import { EtcdTable, type EtcdTableOptions } from '../../../src/decryptions/etcd/etcd-table.ts';
import { EtcdWatch } from '../../../src/decryptions/etcd/etcd-watch.ts';
import { EtcdWriteOrder } from '../../../src/decryptions/etcd/etcd-write-order.ts';
import { type Clock, systemClock } from '../../../src/time/clock.ts';
import { type FakeEtcd, header, json, startFakeEtcd } from '../../support/fake-etcd.ts';
import { settled } from '../../support/virtual-scheduler.ts';

const KEY = 'ab'.repeat(32);
const NAME = `latchkey/decryptions/results/${KEY}`;
const keyOf = (number: number): string => number.toString(16).padStart(64, '0');
const nameOf = (key: string): string => toBase64(utf8(`latchkey/decryptions/results/${key}`));
const of = (value: number): Decryption => ({ value: BigInt(value), signature: Uint8Array.of(value) });
const record = (value: number, revision: number, name = NAME) => ({
  key: toBase64(utf8(name)),
  value: toBase64(encodeStored({ ...of(value), storedAtMs: 1000 + value })),
  create_revision: String(revision),
  mod_revision: String(revision),
});
const event = (value: number, revision: number, name = NAME) => ({
  result: { header: header(Math.max(revision, 1)), events: [{ kv: record(value, revision, name) }] },
});
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
};
/** A line may have 8 MiB; the rest are buffers on the way. */
const MOST_OF_LINE = 64 * 1024 * 1024;
const SHORT = { requestTimeoutMs: 200, operationTimeoutMs: 700 };

let fake: FakeEtcd;
let tables: EtcdTable[];
beforeEach(async () => {
  fake = await startFakeEtcd();
  tables = [];
});
afterEach(async () => {
  for (const table of tables) table.close();
  await fake[Symbol.asyncDispose]();
});

async function open(options: Partial<EtcdTableOptions> = {}): Promise<EtcdTable> {
  const table = await EtcdTable.open({ endpoints: [fake.url], ...SHORT, ...options });
  tables.push(table);
  return table;
}
async function serve(options: Partial<EtcdTableOptions> = {}): Promise<DecryptionService> {
  return DecryptionService.on(await open(options), { maxExpectedOracleDelayMs: 600_000 });
}

const txnAnswer = (value: unknown, status = 200) => ({
  answer: (_body: unknown, response: ServerResponse) => json(response, value, status),
});
const raw = (text: string, status = 200, headers: Record<string, string> = {}) => ({
  answer: (_body: unknown, response: ServerResponse) => response.writeHead(status, headers).end(text),
});
const good = { header: header(1), succeeded: true, responses: [] };

describe('answers of something that is no honest etcd end with a code, in time', () => {
  it.each([
    ['no JSON', raw('<html>welcome</html>')],
    ['nothing', raw('')],
    ['null', raw('null')],
    ['deep nesting', raw('['.repeat(100_000))],
    ['an array', txnAnswer([])],
    ['no header', txnAnswer({ ...good, header: undefined })],
    ['a revision that is a number', txnAnswer({ ...good, header: { ...header(1), revision: 1 } })],
    ['a negative revision', txnAnswer({ ...good, header: { ...header(1), revision: '-1' } })],
    ['a revision above 2^53', txnAnswer({ ...good, header: { ...header(1), revision: '9999999999999999' } })],
    ['a revision before the one that was seen', txnAnswer({ ...good, header: header(0) })],
    ['another cluster', txnAnswer({ ...good, header: header(5, '8') })],
    ['an error of another form', txnAnswer({ oops: true }, 500)],
    ['a redirect to itself', raw('', 307, { location: '/v3/kv/txn' })],
    ['a redirect to a good answer', raw(JSON.stringify(good), 302, { location: 'http://127.0.0.1:9/' })],
    ['an answer of 9 MiB', raw(JSON.stringify({ ...good, x: 'x'.repeat(9 * 1024 * 1024) }))],
  ])('%s', async (name, { answer }) => {
    // Megabytes take their time on a busy machine.
    const service = await serve(name.includes('MiB') ? { requestTimeoutMs: 60_000 } : {});
    fake.on('/v3/kv/txn', answer);
    await expect(service.put(KEY, of(1))).rejects.toMatchObject({
      code: 'DECRYPTIONS_ENGINE_ANSWER_INVALID',
      status: 503,
    });
    await expect(service.get(KEY)).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_ANSWER_INVALID' });
    expect([service.waiting, service.keysInMemory]).toEqual([0, 0]);
  });

  it('an endless answer is cut, and its connection closed', async () => {
    const service = await serve({ requestTimeoutMs: 60_000 });
    let isClosed = false;
    fake.on('/v3/kv/txn', (_body, response) => {
      response.on('close', () => {
        isClosed = true;
      });
      const more = (): void => {
        if (!isClosed && response.write('x'.repeat(65_536))) setImmediate(more);
      };
      response.on('drain', more);
      more();
    });
    await expect(service.put(KEY, of(1))).rejects.toMatchObject({
      code: 'DECRYPTIONS_ENGINE_ANSWER_INVALID',
    });
    await until(() => isClosed);
  });

  it.each([
    ['nothing at all', () => undefined],
    [
      'a byte now and then',
      (response: ServerResponse) => {
        const timer = setInterval(() => response.write(' '), 10);
        response.on('close', () => clearInterval(timer));
      },
    ],
    ['the beginning of an answer', (response: ServerResponse) => response.write('{"header":')],
    ['a cut connection', (response: ServerResponse) => response.destroy()],
    ['no leader', (response: ServerResponse) => json(response, { code: 14, message: 'no leader' }, 503)],
  ])('%s', async (_name, answer) => {
    const service = await serve();
    fake.on('/v3/kv/txn', (_body, response) => void answer(response));
    const ends = [service.put(KEY, of(1)), service.get(KEY), service.get(KEY, { waitMs: 0 })];
    for (const end of ends)
      await expect(end).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_UNAVAILABLE', status: 503 });
    expect([service.waiting, service.keysInMemory]).toEqual([0, 0]);
  });

  it.each([
    ['another record', { kvs: [record(1, 1, `${NAME.slice(0, -1)}c`)] }],
    ['two records', { kvs: [record(1, 1), record(1, 1)] }],
    ['no range', undefined],
  ])('%s than was asked for', async (_name, range) => {
    const service = await serve();
    fake.on('/v3/kv/txn', (_body, response) =>
      json(response, { ...good, responses: range === undefined ? [] : [{ response_range: range }] }),
    );
    await expect(service.get(KEY)).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_ANSWER_INVALID' });
  });

  it('one record that is too large fails those who read it, and nobody else', async () => {
    const service = await serve({ requestTimeoutMs: 60_000 });
    const large = keyOf(300);
    const isLarge = (one: { request_range: { key: string } }) => one.request_range.key === nameOf(large);
    fake.on('/v3/kv/txn', (body: { success?: readonly { request_range: { key: string } }[] }, response) => {
      const { success = [] } = body;
      if (success.some(isLarge)) response.end('x'.repeat(9 * 1024 * 1024));
      else json(response, { ...good, responses: success.map(() => ({ response_range: {} })) });
    });
    // More than are read at once, so that some are in other transactions and some have to wait.
    const keys = Array.from({ length: 600 }, (_, number) => keyOf(number));
    const ends = await Promise.allSettled(keys.map((key) => service.get(key, { waitMs: 0 })));
    const failed = keys.filter((_, index) => ends[index]?.status === 'rejected');
    expect(failed).toEqual([large]);
    expect(ends[300]).toMatchObject({ reason: { code: 'DECRYPTIONS_ENGINE_ANSWER_INVALID' } });
  });

  it('writes that wait for one of the same key which etcd does not answer end with it, and later ones are tried', async () => {
    const service = await serve();
    fake.on('/v3/kv/txn', () => undefined);
    // One after another they would take 140 s, more than this test may.
    const writes = [
      ...Array.from({ length: 100 }, (_, number) => service.put(KEY, of(number))),
      ...Array.from({ length: 100 }, (_, number) =>
        service.putSignature(KEY, `oracle-${number}`, of(number)),
      ),
    ];
    const ends = await Promise.allSettled(writes);
    for (const end of ends)
      expect(end).toMatchObject({ reason: { code: 'DECRYPTIONS_ENGINE_UNAVAILABLE', status: 503 } });
    expect(service.keysInMemory).toBe(0);
    fake.on('/v3/kv/txn', fake.honest['/v3/kv/txn'] ?? (() => undefined));
    expect(await service.put(KEY, of(1))).toBe('written');
  }, 60_000);

  it('a write that etcd refuses does not end those behind it', async () => {
    const service = await serve();
    let asked = 0;
    fake.on('/v3/kv/txn', (body, response, request) => {
      asked += 1;
      if (asked === 1) json(response, { code: 7, message: 'etcdserver: permission denied', error: '' }, 400);
      else fake.honest['/v3/kv/txn']?.(body, response, request);
    });
    const ends = await Promise.allSettled([service.put(KEY, of(1)), service.put(KEY, of(2))]);
    expect(ends).toMatchObject([
      { reason: { code: 'DECRYPTIONS_ENGINE_REFUSED' } },
      { status: 'fulfilled', value: 'written' },
    ]);
  });

  it('D18 requests that do not wait are bounded too, while etcd does not answer', async () => {
    const service = DecryptionService.on(await open({ requestTimeoutMs: 60_000 }), { maxWaiters: 20 });
    fake.on('/v3/kv/txn', () => undefined);
    fake.on('/v3/kv/range', () => undefined);
    const numbers = Array.from({ length: 10 }, (_, number) => number);
    const underWay = Promise.allSettled([
      ...numbers.map((number) => service.get(keyOf(number), { waitMs: 0 })),
      ...numbers.map((number) => service.signatures(keyOf(number))),
    ]);
    for (const more of [service.get(KEY, { waitMs: 0 }), service.signatures(KEY), service.get(KEY)])
      await expect(more).rejects.toMatchObject({ code: 'DECRYPTION_WAITERS_FULL', status: 503 });
    tables[0]?.close();
    for (const end of await underWay)
      expect(end).toMatchObject({ reason: { code: 'DECRYPTIONS_ENGINE_UNAVAILABLE' } });
    expect([service.waiting, service.keysInMemory]).toEqual([0, 0]);
  });

  it('a refusal is told at once, with its reason; room and size have their own', async () => {
    const service = await serve({ operationTimeoutMs: 600_000 });
    for (const [message, code, expected] of [
      ['etcdserver: permission denied', 7, 'DECRYPTIONS_ENGINE_REFUSED'],
      ['etcdserver: mvcc: database space exceeded', 8, 'DECRYPTIONS_ENGINE_REFUSED'],
      ['etcdserver: request is too large', 3, 'BODY_TOO_LARGE'],
    ] as const) {
      fake.on('/v3/kv/txn', (_body, response) => json(response, { message, code, error: message }, 400));
      await expect(service.put(KEY, of(1))).rejects.toMatchObject({ code: expected });
    }
  });

  it('nobody there: opening ends with a code', async () => {
    await expect(open({ endpoints: ['http://127.0.0.1:9'] })).rejects.toMatchObject({
      code: 'DECRYPTIONS_ENGINE_UNAVAILABLE',
    });
    for (const endpoints of [[], ['etcd:2379'], ['http://a/path'], ['ftp://a:1']])
      await expect(EtcdTable.open({ endpoints })).rejects.toThrow(RangeError);
    await expect(EtcdTable.open({ endpoints: [fake.url], prefix: 'x' })).rejects.toThrow(RangeError);
  });

  it('endpoints of two clusters: the second is never believed', async () => {
    await using other = await startFakeEtcd(100);
    other.on('/v3/kv/txn', (_body, response) =>
      json(response, {
        header: header(100, '8'),
        succeeded: true,
        responses: [{ response_range: { kvs: [record(9, 9)] } }],
      }),
    );
    const service = await serve({ endpoints: [fake.url, other.url] });
    fake.on('/v3/kv/txn', (_body, response) => response.destroy());
    await expect(service.get(KEY)).rejects.toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^DECRYPTIONS_ENGINE_/) }),
    );
    expect(other.asked('/v3/kv/txn')).toBeGreaterThan(0);
  });
});

describe('a write whose answer was lost', () => {
  /** Applies the first transaction, cuts its connection, and answers the others with what is there then. */
  function loseFirstAnswer(thereThen: (written: object) => readonly object[]): {
    readonly writes: () => number;
  } {
    let writes = 0;
    let written = {};
    fake.on('/v3/kv/txn', (body: { success?: readonly { request_put?: object }[] }, response) => {
      writes += 1;
      if (writes > 1)
        return json(response, {
          header: header(9),
          responses: [{ response_range: { kvs: thereThen(written) } }],
        });
      written = { ...body.success?.[0]?.request_put, create_revision: '5', mod_revision: '5' };
      response.destroy();
    });
    return { writes: () => writes };
  }

  it('was applied: it is acknowledged, and not written once more', async () => {
    const service = await serve();
    const { writes } = loseFirstAnswer((written) => [written]);
    expect(await service.put(KEY, of(1))).toBe('written');
    expect(writes()).toBe(2);
  });

  it('of a deletion that was applied: it is told as done', async () => {
    const service = DecryptionService.on(await open(), {});
    const answers = [
      (response: ServerResponse) =>
        json(response, { header: header(8), responses: [{ response_range: { kvs: [record(1, 8)] } }] }),
      (response: ServerResponse) => response.destroy(),
      (response: ServerResponse) => json(response, { header: header(9) }),
      (response: ServerResponse) =>
        json(response, { header: header(9), responses: [{ response_range: {} }] }),
    ];
    fake.on('/v3/kv/txn', (_body, response) => void answers.shift()?.(response));
    expect(await service.delete(KEY)).toBe(true);
    expect(answers).toEqual([]);
  });

  it('may have been applied before another one came: that is not undone', async () => {
    const service = await serve();
    const { writes } = loseFirstAnswer(() => [record(2, 8)]);
    await expect(service.put(KEY, of(1))).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_UNAVAILABLE' });
    expect(writes()).toBe(2);
  });

  it('without overwriting another value is a conflict', async () => {
    const service = DecryptionService.on(await open(), { overwrite: false });
    loseFirstAnswer(() => [record(2, 8)]);
    await expect(service.put(KEY, of(1))).rejects.toMatchObject({ code: 'DECRYPTION_CONFLICT' });
  });
});

describe('whether an attempt may have been applied', () => {
  it('is not when no member could be reached with it, and is when one got it', async () => {
    const client = new EtcdClient({ endpoints: ['http://127.0.0.1:9', fake.url] });
    try {
      expect(await client.txn({})).toMatchObject({ mayBeRepeated: false });
      expect(fake.asked('/v3/kv/txn')).toBe(1);
      fake.on('/v3/kv/txn', (_body, response) => {
        fake.on('/v3/kv/txn', fake.honest['/v3/kv/txn'] ?? (() => undefined));
        response.destroy();
      });
      expect(await client.txn({})).toMatchObject({ mayBeRepeated: true });
    } finally {
      client.close();
    }
  });
});

describe('the watch', () => {
  /** The first read of a waiting GET: absent at this revision. */
  const absentAt = (revision: number) =>
    fake.on('/v3/kv/txn', (_body, response) =>
      json(response, { header: header(revision), succeeded: true, responses: [{ response_range: {} }] }),
    );

  it('an event from before the key was seen absent does not answer a GET; a later one does', async () => {
    const service = await serve();
    absentAt(10);
    const waiting = service.get(KEY);
    await until(() => fake.asked('/v3/kv/txn') === 1 && fake.watches === 1);
    // The second read shows that the answer of the first has arrived.
    await service.get(KEY, { waitMs: 0 });
    fake.tellWatches(event(5, 5));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(service.waiting).toBe(1);
    fake.tellWatches(event(11, 11));
    expect(await waiting).toEqual(of(11));
    expect([service.waiting, service.keysInMemory]).toEqual([0, 0]);
  });

  it('an event that comes before the answer of the first read is kept until then', async () => {
    const service = await serve();
    let answer = (): void => undefined;
    fake.on('/v3/kv/txn', (_body, response) => {
      answer = () => json(response, { header: header(3), responses: [{ response_range: {} }] });
    });
    const waiting = service.get(KEY);
    await until(() => fake.asked('/v3/kv/txn') === 1 && fake.watches === 1);
    fake.tellWatches(event(2, 2));
    fake.tellWatches(event(4, 4));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(service.waiting).toBe(1);
    answer();
    expect(await waiting).toEqual(of(4));
  });

  it.each([
    ['a revision that was seen before', event(1, 1)],
    ['a key outside of the prefix', event(1, 20, 'elsewhere')],
    [
      'a revision after that of its answer',
      { result: { header: header(3), events: [{ kv: record(1, 20) }] } },
    ],
    [
      'events in disorder',
      { result: { header: header(30), events: [{ kv: record(1, 20, `${NAME}x`) }, { kv: record(1, 19) }] } },
    ],
    ['another cluster', { result: { header: header(20, '8'), events: [{ kv: record(1, 20) }] } }],
    ['no answer to a watch', { hello: 'world' }],
    ['a line of 9 MiB', { x: 'x'.repeat(9 * 1024 * 1024) }],
    ['an error', { error: { grpc_code: 14, http_code: 503, message: 'etcdserver: no leader' } }],
    ['the end of the watch', { result: { header: header(0), canceled: true } }],
  ])('%s: nobody is answered, and the watch is made again', async (_name, line) => {
    const service = await serve();
    absentAt(2);
    const waiting = service.get(KEY);
    await until(() => fake.watches === 1 && service.health().isReady);
    await service.get(KEY, { waitMs: 0 });
    fake.tellWatches(line);
    // At once, and not only when the stream was silent for long.
    await until(() => !service.health().isReady);
    await until(() => fake.asked('/v3/watch') === 2 && fake.watches === 1);
    expect(service.waiting).toBe(1);
    await until(() => service.health().isReady);
    fake.tellWatches(event(40, 40));
    expect(await waiting).toEqual(of(40));
  });

  it('an endless line is cut', async () => {
    await serve();
    await until(() => fake.watches === 1);
    let isClosed = false;
    let writtenBytes = 0;
    fake.on('/v3/watch', (_body, response) => {
      fake.on('/v3/watch', fake.honest['/v3/watch'] ?? (() => undefined));
      response.on('close', () => {
        isClosed = true;
      });
      const more = (): void => {
        if (isClosed || writtenBytes > MOST_OF_LINE) return;
        writtenBytes += 65_536;
        if (response.write('x'.repeat(65_536))) setImmediate(more);
      };
      response.on('drain', more);
      more();
    });
    fake.tellWatches({ nonsense: true });
    await until(() => isClosed);
    // By its length, and not when the stream said nothing for long.
    expect(writtenBytes).toBeLessThan(MOST_OF_LINE);
    await until(() => fake.watches === 1 && fake.asked('/v3/watch') >= 3);
  });

  it('is made again while all other connections wait for etcd', async () => {
    const service = await serve({ requestTimeoutMs: 60_000, operationTimeoutMs: 60_000 });
    await until(() => fake.watches === 1);
    fake.on('/v3/kv/txn', () => undefined);
    const puts = Promise.allSettled(
      Array.from({ length: 300 }, (_, number) => service.put(keyOf(number), of(1))),
    );
    await until(() => fake.asked('/v3/kv/txn') === 256);
    fake.tellWatches({ nonsense: true });
    await until(() => fake.asked('/v3/watch') === 2 && fake.watches === 1);
    tables[0]?.close();
    for (const end of await puts) expect(end.status).toBe('rejected');
  }, 30_000);

  it('a server that ends every watch at once is asked ever less often, and the state is not ready', async () => {
    const startedAtMs = performance.now();
    fake.on('/v3/watch', (_body, response) =>
      response.end('{"result":{"header":{"cluster_id":"7"},"created":true}}\n'),
    );
    const table = await open();
    await until(() => fake.asked('/v3/watch') >= 6);
    // 50, 100, 200, 400 and 800 ms at least.
    expect(performance.now() - startedAtMs).toBeGreaterThan(1500);
    await until(() => !table.health().isReady);
    expect(table.health().reason).toContain('ended');
  });

  it('a compacted revision: the keys that are waited for are read again', async () => {
    const service = await serve();
    absentAt(2);
    const waiting = service.get(KEY);
    await until(() => fake.watches === 1 && fake.asked('/v3/kv/txn') === 1);
    await service.get(KEY, { waitMs: 0 });
    fake.on('/v3/kv/range', (_body, response) => json(response, { header: header(50) }));
    fake.on('/v3/kv/txn', (_body, response) =>
      json(response, { header: header(50), responses: [{ response_range: { kvs: [record(6, 30)] } }] }),
    );
    fake.tellWatches({ result: { header: header(0), canceled: true, compact_revision: '40' } });
    expect(await waiting).toEqual(of(6));
  });

  it('goes on behind the last revision that it saw whole', async () => {
    const begun: unknown[] = [];
    const follow = fake.honest['/v3/watch'];
    fake.on('/v3/watch', (body: { create_request?: { start_revision: string } }, response, request) => {
      begun.push(body.create_request?.start_revision);
      follow?.(body as never, response, request);
    });
    const service = await serve();
    await until(() => fake.watches === 1);
    fake.tellWatches(event(3, 12));
    // The second half of this revision is still to come when the stream ends.
    const half = event(4, 15).result;
    fake.tellWatches({ result: { ...half, fragment: true } });
    fake.tellWatches({ nonsense: true });
    await until(() => begun.length === 2 && service.health().isReady);
    expect(begun).toEqual(['2', '13']);
  });

  it('two results of one revision are both told', async () => {
    const service = await serve();
    const keys = [keyOf(1), keyOf(2)];
    const waiting = keys.map((key) => service.get(key));
    await until(() => fake.watches === 1);
    await service.get(KEY, { waitMs: 0 });
    const events = keys.map((key) => ({ kv: record(8, 20, `latchkey/decryptions/results/${key}`) }));
    fake.tellWatches({ result: { header: header(20), events } });
    expect(await Promise.all(waiting)).toEqual([of(8), of(8)]);
  });

  it('a stream that is idle is followed again, and stays ready; one at a member that hangs is not', async () => {
    const client = new EtcdClient({ endpoints: [fake.url] });
    try {
      const watch = new EtcdWatch(client, 'latchkey/decryptions/results/', { silenceMs: 100 });
      await watch.start();
      await until(() => watch.interruption === undefined);
      let isInterrupted = false;
      await until(() => {
        isInterrupted ||= watch.interruption !== undefined;
        return fake.asked('/v3/watch') >= 4;
      });
      expect(isInterrupted).toBe(false);
      fake.on('/v3/watch', () => undefined);
      await until(() => watch.interruption !== undefined);
      expect(watch.interruption).toContain('no answer within 100 ms');
    } finally {
      client.close();
    }
  });

  it('a cluster that went back to an older snapshot is not ready, although its watches say nothing wrong', async () => {
    const client = new EtcdClient({ endpoints: [fake.url], ...SHORT });
    try {
      fake.on('/v3/kv/range', (_body, response) => json(response, { header: header(9) }));
      const watch = new EtcdWatch(client, 'latchkey/decryptions/results/', { silenceMs: 100 });
      await watch.start();
      await until(() => watch.interruption === undefined);
      fake.on('/v3/kv/range', (_body, response) => json(response, { header: header(8) }));
      await until(() => watch.interruption !== undefined);
      expect(watch.interruption).toContain('revision 8 after revision 9');
      // It stays so while new watches begin.
      const asked = fake.asked('/v3/watch');
      await until(() => fake.asked('/v3/watch') >= asked + 2);
      expect(watch.interruption).toContain('revision 8 after revision 9');
      fake.on('/v3/kv/range', (_body, response) => json(response, { header: header(9) }));
      await until(() => watch.interruption === undefined);
    } finally {
      client.close();
    }
  });

  it('closing ends the watch, and what is under way', async () => {
    const table = await open({ operationTimeoutMs: 600_000, requestTimeoutMs: 600_000 });
    fake.on('/v3/kv/txn', () => undefined);
    await until(() => fake.watches === 1);
    const reading = table.read(KEY);
    await until(() => fake.asked('/v3/kv/txn') === 1);
    table.close();
    await expect(reading).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_UNAVAILABLE' });
    await until(() => fake.watches === 0);
    await settled();
  });
});

describe('the order of signed writes', () => {
  let granted: string[];
  let txns: { readonly success: readonly { readonly request_put: { readonly lease: string } }[] }[];
  let answer: (response: ServerResponse, lease: string | undefined) => void;
  beforeEach(() => {
    granted = [];
    txns = [];
    answer = (response) => json(response, good);
    fake.on('/v3/lease/grant', (_body, response) => {
      granted.push(String(granted.length + 1));
      json(response, { header: header(1), ID: granted.at(-1), TTL: '300' });
    });
    fake.on('/v3/kv/txn', (body, response) => {
      const txn = body as unknown as (typeof txns)[number];
      txns.push(txn);
      answer(response, txn.success[0]?.request_put.lease);
    });
  });
  const order = (clock: Clock = systemClock) =>
    new EtcdWriteOrder(new EtcdClient({ endpoints: [fake.url], ...SHORT }), 'order/', clock);

  it('one lease is for all entries of a minute, also when the clock of this machine stands still or jumps', async () => {
    let monotonic = 0;
    const wall = [5_000_000, 0, 9_000_000_000, 0, 0];
    const clock: Clock = { ...systemClock, nowMs: () => wall.shift() ?? 0, monotonicMs: () => monotonic };
    const writes = order(clock);
    expect(await writes.advance('a', 1)).toBe(true);
    monotonic = 60_000;
    expect(await writes.advance('b', 1)).toBe(true);
    expect(granted).toEqual(['1']);
    monotonic = 60_001;
    expect(await writes.advance('c', 1)).toBe(true);
    expect(granted).toEqual(['1', '2']);
    expect(txns.map(({ success }) => success[0]?.request_put.lease)).toEqual(['1', '1', '2']);
  });

  it('a lease that etcd no longer knows is replaced once', async () => {
    const gone = { code: 5, message: 'etcdserver: requested lease not found' };
    answer = (response, lease) => (lease === '1' ? json(response, gone, 404) : json(response, good));
    const writes = order();
    expect(await writes.advance('a', 1)).toBe(true);
    expect(granted).toEqual(['1', '2']);
    answer = (response) => json(response, gone, 404);
    await expect(writes.advance('a', 2)).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_REFUSED' });
    expect(granted).toEqual(['1', '2', '3']);
  });

  it('writes that etcd refuses for another reason make no leases', async () => {
    answer = (response) => json(response, { code: 7, message: 'etcdserver: permission denied' }, 403);
    const writes = order();
    for (let write = 0; write < 5; write += 1)
      await expect(writes.advance('a', write)).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_REFUSED' });
    expect([granted.length, txns.length]).toEqual([1, 5]);
  });

  it('a lease that etcd does not grant is asked for again by the next write', async () => {
    const writes = order();
    const grant = (status: number, value: unknown) =>
      fake.on('/v3/lease/grant', (_body, response) => json(response, value, status));
    grant(500, { code: 8, message: 'etcdserver: mvcc: database space exceeded' });
    await expect(writes.advance('a', 1)).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_REFUSED' });
    grant(200, { header: header(1), ID: '7', TTL: '300' });
    expect(await writes.advance('a', 1)).toBe(true);
  });
});

describe('tokens of a cluster with authentication', () => {
  const user = () => ({ name: 'latchkey', password: new SecretBytes(utf8('secret')) });
  const authenticated = (made: string[]) =>
    fake.on('/v3/auth/authenticate', (body, response) => {
      expect(body).toEqual({ name: 'latchkey', password: 'secret' });
      made.push(`token-${made.length}`);
      json(response, { header: header(1), token: made.at(-1) });
    });
  const refusal = { code: 16, message: 'etcdserver: invalid auth token', error: '' };

  it('one that has ended is replaced once for all calls, and the call goes on', async () => {
    const made: string[] = [];
    authenticated(made);
    const service = await serve({ user: user() });
    expect(made).toEqual(['token-0']);
    const honest = fake.honest['/v3/kv/txn'];
    fake.on('/v3/kv/txn', (body, response, request) => {
      if (request.headers.authorization === 'token-0') json(response, refusal, 401);
      else honest?.(body, response, request);
    });
    const keys = Array.from({ length: 20 }, (_, index) => keyOf(index));
    expect(await Promise.all(keys.map((key) => service.put(key, of(1))))).toEqual(keys.map(() => 'written'));
    expect(made.length).toBe(2);
  });

  it('etcd that accepts no token ends a call', async () => {
    authenticated([]);
    const service = await serve({ user: user(), operationTimeoutMs: 600_000 });
    fake.on('/v3/kv/txn', (_body, response) => json(response, refusal, 401));
    await expect(service.put(KEY, of(1))).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_REFUSED' });
  });

  it.each([
    [
      'a wrong password',
      { code: 3, message: 'etcdserver: authentication failed, invalid user ID or password' },
    ],
    ['authentication that is off', { code: 9, message: 'etcdserver: authentication is not enabled' }],
  ])('%s is told at once', async (_name, answer) => {
    fake.on('/v3/auth/authenticate', (_body, response) => json(response, answer, 400));
    await expect(open({ user: user(), operationTimeoutMs: 600_000 })).rejects.toMatchObject({
      code: 'DECRYPTIONS_ENGINE_REFUSED',
    });
  });
});
