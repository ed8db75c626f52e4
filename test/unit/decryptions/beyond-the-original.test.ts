import { describe, expect, it } from 'vitest';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { sr25519PublicKey, sr25519Sign } from '../../../src/crypto/sr25519.ts';
import {
  DecryptionService,
  type DecryptionServiceOptions,
} from '../../../src/decryptions/decryption-service.ts';
import { type DecryptionsAppOptions, decryptionsApp } from '../../../src/decryptions/decryptions-app.ts';
import { signedWriteBytes } from '../../../src/decryptions/write-authorization.ts';
import { errorCodes } from '../../../src/errors/codes.ts';
import { describeOnEngines } from '../../support/decryption-engines.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { VirtualScheduler } from '../../support/virtual-scheduler.ts';

const KEY = '5e'.repeat(32);
const PATH = `/decryption/${KEY}`;
const body = (value: number): string => `{"value":${value},"signature":"YmI="}`;

async function world(options: DecryptionsAppOptions = {}, serviceOptions: DecryptionServiceOptions = {}) {
  const clock = new VirtualScheduler();
  const store = new MemoryStore();
  const service = await DecryptionService.open(store, {
    maxExpectedOracleDelayMs: 0,
    scheduler: clock,
    ...serviceOptions,
  });
  const app = decryptionsApp(service, { nowMs: () => clock.nowMs(), ...options });
  const put = (path: string, text: string, headers: Record<string, string> = {}) =>
    app.request(path, { method: 'PUT', body: text, headers });
  return { clock, store, service, app, put };
}

const codeOf = async (response: Response): Promise<unknown> => {
  const problem: unknown = await response.json();
  return typeof problem === 'object' && problem !== null && 'code' in problem ? problem.code : problem;
};

describeOnEngines('D21 on each engine', (open, engine) => {
  async function world(options: DecryptionsAppOptions = {}, serviceOptions: DecryptionServiceOptions = {}) {
    const clock = new VirtualScheduler();
    const service = await open({ maxExpectedOracleDelayMs: 0, scheduler: clock, ...serviceOptions });
    const app = decryptionsApp(service, { nowMs: () => clock.nowMs(), ...options });
    const put = (path: string, text: string, headers: Record<string, string> = {}) =>
      app.request(path, { method: 'PUT', body: text, headers });
    return { clock, service, app, put };
  }

  describe('D21 several signatures', () => {
    it('D21 each oracle has its own answer; the first answer is the result and wakes the waiters', async () => {
      const { app, put, service } = await world({}, { maxExpectedOracleDelayMs: 7000 });
      const waiting = app.request(PATH);
      await new Promise((resolve) => setImmediate(resolve));
      expect((await put(`${PATH}/signatures/oracle-b`, body(1))).status).toBe(200);
      expect(await (await waiting).text()).toBe('{"value":1,"signature":"YmI="}');
      expect(
        (await put(`${PATH}/signatures/oracle-a`, '{"value":18446744073709551615,"signature":"YWE="}'))
          .status,
      ).toBe(200);
      expect(await (await app.request(`${PATH}/signatures`)).text()).toBe(
        '{"signatures":[{"oracle":"oracle-a","value":18446744073709551615,"signature":"YWE="},' +
          '{"oracle":"oracle-b","value":1,"signature":"YmI="}]}',
      );
      expect(await (await app.request(PATH)).text()).toBe('{"value":1,"signature":"YmI="}');
      expect(await service.size()).toBe(1);
    });

    it('D21 their number is bounded, and a key without any is 404', async () => {
      const { app, put } = await world({}, { maxSignaturesPerKey: 2 });
      expect((await app.request(`${PATH}/signatures`)).status).toBe(404);
      await put(`${PATH}/signatures/a`, body(1));
      await put(`${PATH}/signatures/b`, body(1));
      const refused = await put(`${PATH}/signatures/c`, body(1));
      expect([refused.status, await codeOf(refused)]).toEqual([409, 'DECRYPTION_SIGNATURES_FULL']);
      expect((await put(`${PATH}/signatures/b`, body(2))).status).toBe(200);
      for (const name of ['', 'a/b', 'a%2Fb', 'x'.repeat(65), '%00']) {
        expect((await put(`${PATH}/signatures/${name}`, body(1))).status).toBe(404);
      }
    });
  });

  describe('D21 deleting and pruning', () => {
    it('D21 DELETE exists only when it is enabled', async () => {
      const closed = await world();
      await closed.put(PATH, body(1));
      expect((await closed.app.request(PATH, { method: 'DELETE' })).status).toBe(404);
      expect((await closed.app.request(PATH)).status).toBe(200);
      const open = await world({ allowDelete: true });
      await open.put(`${PATH}/signatures/a`, body(1));
      expect((await open.app.request(PATH, { method: 'DELETE' })).status).toBe(200);
      expect((await open.app.request(PATH)).status).toBe(404);
      expect((await open.app.request(`${PATH}/signatures`)).status).toBe(404);
      expect((await open.app.request(PATH, { method: 'DELETE' })).status).toBe(404);
    });

    it('D21 prunes by age and by count, oldest first; an overwritten result counts as new', async () => {
      const { service, clock } = await world();
      const key = (number: number): string => number.toString(16).padStart(64, '0');
      const has = async (number: number) => (await service.get(key(number), { waitMs: 0 })) !== undefined;
      for (let number = 0; number < 10; number += 1) {
        await service.put(key(number), { value: BigInt(number), signature: new Uint8Array(0) });
        await clock.advance(1000);
      }
      await service.put(key(0), { value: 99n, signature: new Uint8Array(0) });
      expect(await service.prune({ maxAgeMs: 8000 })).toBe(1);
      expect(await Promise.all([0, 1, 2].map(has))).toEqual([true, false, true]);
      expect(await service.prune({ maxCount: 3 })).toBe(6);
      expect(await Promise.all([0, 8, 9].map(has))).toEqual([true, true, true]);
      expect(await service.prune({ maxCount: 3, maxAgeMs: 60_000 })).toBe(0);
      await expect(service.prune({ maxAgeMs: -1 })).rejects.toThrow(RangeError);
      await expect(service.prune({ maxCount: Number.NaN })).rejects.toThrow(RangeError);
      expect(await service.prune({ maxCount: 0 })).toBe(3);
      expect(await service.size()).toBe(0);
    });
  });

  describe('D21 ?wait=', () => {
    it('D21 shortens the waiting and refuses text that is no number', async () => {
      const { app, clock } = await world({}, { maxExpectedOracleDelayMs: 7000 });
      expect((await app.request(`${PATH}?wait=0`)).status).toBe(404);
      const waiting = app.request(`${PATH}?wait=20`);
      await clock.advance(20);
      expect((await waiting).status).toBe(404);
      for (const text of ['-1', '1.5', 'x', '', '9999999999']) {
        expect(await codeOf(await app.request(`${PATH}?wait=${text}`))).toBe('FIELD_INVALID');
      }
    });
  });

  describe('D21 no overwriting', () => {
    it('D21 the same value again is taken, another value is 409', async () => {
      const { app, put } = await world({}, { overwrite: false });
      expect((await put(PATH, body(1))).status).toBe(200);
      expect((await put(PATH, body(1))).status).toBe(200);
      const refused = await put(PATH, body(2));
      expect([refused.status, await codeOf(refused)]).toEqual([409, 'DECRYPTION_CONFLICT']);
      expect(await (await app.request(PATH)).text()).toContain('"value":1,');
    });
  });

  describe('D21 write authorization by sr25519', () => {
    const seed = new Uint8Array(32).fill(7);
    const account = AccountId.of(sr25519PublicKey(seed));
    const signed = (method: string, path: string, text: string, timestampMs: number, by = seed) => ({
      'latchkey-account': encodeSs58(sr25519PublicKey(by)),
      'latchkey-timestamp': String(timestampMs),
      'latchkey-signature': toHex(
        sr25519Sign(by, signedWriteBytes(method, path, timestampMs, new TextEncoder().encode(text))),
      ),
    });

    it('D21 a signature covers method, path, time and body', async () => {
      const { app, put, clock } = await world({
        writeAuthorization: { kind: 'sr25519', accounts: [account] },
      });
      const now = clock.nowMs();
      const good = signed('PUT', PATH, body(1), now);
      const wrong: readonly (readonly [string, string, Record<string, string>])[] = [
        [PATH, body(2), good],
        [PATH.replace('5e', '5f'), body(1), good],
        [PATH, body(1), { ...good, 'latchkey-timestamp': String(now + 1) }],
        [PATH, body(1), signed('DELETE', PATH, body(1), now)],
        [PATH, body(1), { ...good, 'latchkey-signature': `${good['latchkey-signature'].slice(2)}00` }],
        [PATH, body(1), { ...good, 'latchkey-account': 'nobody' }],
        [PATH, body(1), {}],
        // Before the start: a service on its own store does not know what it took then.
        ...(engine === 'store' ? [[PATH, body(1), signed('PUT', PATH, body(1), now - 1)] as const] : []),
        [PATH, body(1), signed('PUT', PATH, body(1), now + 60_001)],
      ];
      for (const [path, text, headers] of wrong) expect((await put(path, text, headers)).status).toBe(401);
      expect((await app.request(PATH)).status).toBe(404);
      expect((await put(PATH, body(1), good)).status).toBe(200);
      const stranger = await put(
        PATH,
        body(1),
        signed('PUT', PATH, body(1), now, new Uint8Array(32).fill(8)),
      );
      expect([stranger.status, await codeOf(stranger)]).toEqual([403, 'DECRYPTION_WRITE_FORBIDDEN']);
    });

    it('D21 a recorded write brings no overwritten value back', async () => {
      const { app, put, clock } = await world({
        writeAuthorization: { kind: 'sr25519', accounts: [account] },
      });
      const upper = PATH.replace(KEY, KEY.toUpperCase());
      const first = signed('PUT', PATH, body(1), clock.nowMs());
      expect((await put(PATH, body(1), first)).status).toBe(200);
      expect((await put(PATH, body(1), first)).status).toBe(401);
      expect((await put(upper, body(2), signed('PUT', upper, body(2), clock.nowMs() + 5))).status).toBe(200);
      expect((await put(PATH, body(1), first)).status).toBe(401);
      await clock.advance(200_000);
      expect((await put(PATH, body(1), first)).status).toBe(401);
      expect(await (await app.request(PATH)).text()).toContain('"value":2,');
    });

    it('D21 an oracle signs for itself only', async () => {
      const { put, clock } = await world({ writeAuthorization: { kind: 'sr25519', accounts: [account] } });
      const own = `${PATH}/signatures/${encodeSs58(account)}`;
      const other = `${PATH}/signatures/somebody-else`;
      expect((await put(own, body(1), signed('PUT', own, body(1), clock.nowMs()))).status).toBe(200);
      expect((await put(other, body(1), signed('PUT', other, body(1), clock.nowMs()))).status).toBe(403);
    });
  });
});

describe('D21 no overwriting', () => {
  it('D21 the same value again writes nothing, another value is 409', async () => {
    const { app, put, store } = await world({}, { overwrite: false });
    await put(PATH, body(1));
    const writes = store.writes;
    expect((await put(PATH, body(1))).status).toBe(200);
    expect(store.writes).toBe(writes);
    const refused = await put(PATH, body(2));
    expect([refused.status, await codeOf(refused)]).toEqual([409, 'DECRYPTION_CONFLICT']);
    expect(await (await app.request(PATH)).text()).toContain('"value":1,');
  });
});

describe('D21 write authorization by bearer token', () => {
  it('D21 only requests with the token write, all requests may read', async () => {
    const token = new SecretBytes(new TextEncoder().encode('correct-horse'));
    const { app, put } = await world({ writeAuthorization: { kind: 'bearer', token }, allowDelete: true });
    for (const authorization of [
      '',
      'Bearer',
      'Bearer wrong',
      'Basic correct-horse',
      'correct-horse',
      'Bearer correct-horse2',
    ]) {
      const refused = await put(PATH, body(1), authorization === '' ? {} : { authorization });
      expect([refused.status, await codeOf(refused)]).toEqual([401, 'DECRYPTION_WRITE_UNAUTHENTICATED']);
      expect(refused.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect((await app.request(PATH)).status).toBe(404);
    expect((await put(PATH, body(1), { authorization: 'bearer correct-horse' })).status).toBe(200);
    expect((await app.request(PATH)).status).toBe(200);
    expect((await app.request(PATH, { method: 'DELETE' })).status).toBe(401);
    expect((await put(`${PATH}/signatures/a`, body(1))).status).toBe(401);
  });
});

describe('problem documents', () => {
  it('have a type from their code, its summary as the title, and an id that is also in the log', async () => {
    const told: { readonly error: unknown; readonly requestId: string }[] = [];
    const { app, store } = await world({ onError: (error, requestId) => told.push({ error, requestId }) });
    const missing = await app.request(PATH);
    expect(await missing.json()).toMatchObject({
      type: 'urn:latchkey:error:DECRYPTION_NOT_FOUND',
      title: errorCodes.DECRYPTION_NOT_FOUND.summary,
      instance: missing.headers.get('x-request-id'),
    });
    expect(told).toEqual([]);
    store.batch = () => Promise.reject(new Error('a text that no stranger may read'));
    const failed = await app.request(PATH, { method: 'PUT', body: body(1) });
    const text = await failed.text();
    expect(text).not.toContain('stranger');
    expect(JSON.parse(text)).toMatchObject({
      type: 'urn:latchkey:error:INTERNAL',
      instance: told[0]?.requestId,
    });
    expect(String(told[0]?.error)).toContain('stranger');
  });
});
