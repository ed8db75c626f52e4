import { beforeEach, expect, it } from 'vitest';
import { decryptionsApp } from '../../../src/decryptions/decryptions-app.ts';
import { describeOnEngines } from '../../support/decryption-engines.ts';

const KEY = 'ab'.repeat(32);
const GOOD = '{"value": 42, "signature": "YmJiYg=="}';

describeOnEngines("the original's ten HTTP tests", (open) => {
  let app: ReturnType<typeof decryptionsApp>;
  const put = (key: string, body: string) => app.request(`/decryption/${key}`, { method: 'PUT', body });
  const get = (key: string) => app.request(`/decryption/${key}`);

  beforeEach(async () => {
    app = decryptionsApp(await open({ maxExpectedOracleDelayMs: 2 }));
  });

  it('D1 put and get', async () => {
    const stored = await put(KEY, GOOD);
    expect([stored.status, await stored.text()]).toEqual([200, '']);
    const answer = await get(KEY);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.text()).toBe('{"value":42,"signature":"YmJiYg=="}');
  });

  it('D2 a second put updates', async () => {
    await put(KEY, GOOD);
    expect((await put(KEY, '{"value": 43, "signature": "Y2NjYw=="}')).status).toBe(200);
    expect(await (await get(KEY)).text()).toBe('{"value":43,"signature":"Y2NjYw=="}');
  });

  it('D3 put of invalid JSON is 400', async () => {
    const answer = await put(KEY, '{"value": 42, "signature"');
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.json()).toMatchObject({
      status: 400,
      code: 'BODY_NOT_JSON',
      type: 'urn:latchkey:error:BODY_NOT_JSON',
    });
  });

  it('D4 an invalid put does not update', async () => {
    await put(KEY, GOOD);
    expect((await put(KEY, `${GOOD}}`)).status).toBe(400);
    expect((await put(KEY, '{"value": 43, "signature": "YmJiY"}')).status).toBe(400);
    expect(await (await get(KEY)).text()).toBe('{"value":42,"signature":"YmJiYg=="}');
  });

  it('D5 put of an invalid signature is 400', async () => {
    const answer = await put(KEY, '{"value": 42, "signature": "YmJiY"}');
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'DECRYPTION_SIGNATURE_INVALID', field: 'signature' });
  });

  it('D6 a key of another size is 404', async () => {
    for (const key of ['ab', 'ab'.repeat(31), 'ab'.repeat(33), `${KEY}a`]) {
      expect((await get(key)).status).toBe(404);
      expect((await put(key, GOOD)).status).toBe(404);
    }
  });

  it('D7 a key that is not hex is 404', async () => {
    for (const key of ['zz'.repeat(32), `0x${'ab'.repeat(31)}`, `${'ab'.repeat(31)}a%20`]) {
      expect((await get(key)).status).toBe(404);
      expect((await put(key, GOOD)).status).toBe(404);
    }
    expect((await put(KEY.toUpperCase(), GOOD)).status).toBe(200);
    expect((await get(KEY)).status).toBe(200);
  });

  it('D8 get of another path is 404', async () => {
    for (const path of [
      '/',
      '/decryption',
      '/decryptions/x',
      `/decryption/${KEY}/more`,
      `/x/decryption/${KEY}`,
    ]) {
      expect((await app.request(path)).status).toBe(404);
    }
  });

  it('D9 put of another path is 404', async () => {
    for (const path of ['/', '/decryption', `/decryption/${KEY}/more`]) {
      expect((await app.request(path, { method: 'PUT', body: GOOD })).status).toBe(404);
    }
  });

  it('D10 get of an unknown key waits, then 404', async () => {
    const answer = await get(KEY);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: 'DECRYPTION_NOT_FOUND', status: 404 });
  });
});
