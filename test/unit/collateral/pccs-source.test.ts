import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { PccsCollateralSource } from '../../../src/collateral/pccs-source.ts';
import { collateralWorld, DAY_MS, START_MS } from '../../support/collateral-world.ts';
import { A, B, down, platform, sourceIn, unavailable } from '../../support/pccs-source.ts';

/** The mock issues on the day before, for 30 days. */
const VALID_UNTIL_MS = Date.UTC(2026, 10, 20) + 30 * DAY_MS;
const state = (source: PccsCollateralSource) => source.status()[0]?.state;

describe('a first request', () => {
  it.each(['pcs', 'pccs'] as const)('gets verified collateral from a %s', async (style) => {
    const world = collateralWorld();
    const service = world.service(A, style);
    const source = sourceIn(world);
    const usable = await source.collateralFor(platform);
    expect(usable).toMatchObject({ state: 'fresh', validUntilMs: VALID_UNTIL_MS });
    const quote = world.pki.quote({ reportData: new Uint8Array(64) });
    expect(world.verifier.verify(quote, { collateral: usable.documents, nowMs: START_MS }).tcbStatus).toBe(
      'UpToDate',
    );
    expect(service.requests).toContain('/tdx/certification/v4/tcb?fmspc=DE7E10000000&update=standard');
  });

  it('supports both PCK CAs, and fetches shared documents once', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await Promise.all([
      source.collateralFor(platform),
      source.collateralFor({ ...platform, ca: 'processor' }),
    ]);
    const count = (part: string) => service.requests.filter((path) => path.includes(part)).length;
    expect([count('/tcb'), count('/qe/identity'), count('/rootcacrl'), count('/pckcrl')]).toEqual([
      1, 1, 1, 2,
    ]);
  });

  it('is sent once for many callers, and not again while the set is fresh', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await Promise.all(Array.from({ length: 20 }, () => source.collateralFor(platform)));
    await source.collateralFor(platform);
    expect(service.requests).toHaveLength(4);
  });

  it('asks for early updates when configured', async () => {
    const world = collateralWorld();
    world.service(A);
    const source = sourceIn(world, { update: 'early' });
    await source.collateralFor(platform);
    expect(source.status()[0]?.tcbEvaluationDataNumber).toBe(21);
  });

  it('is refused below the minimum evaluation number', async () => {
    const world = collateralWorld();
    world.service(A);
    const source = sourceIn(world, { minimumTcbEvaluationDataNumber: 21 });
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
  });
});

describe('other endpoints', () => {
  it('are asked from the next request on, and nothing that is held is forgotten', async () => {
    const world = collateralWorld();
    const [a, b] = [world.service(A), world.service(B)];
    const source = sourceIn(world, { endpoints: [A] });
    await source.collateralFor(platform);
    source.setEndpoints([B]);
    await source.collateralFor(platform);
    expect(b.requests).toEqual([]);
    const before = a.requests.length;
    await source.collateralFor({ ...platform, ca: 'processor' });
    expect([a.requests.length, b.requests.length > 0]).toEqual([before, true]);
    expect(source.status()).toHaveLength(2);
  });

  it('of another kind than http change nothing', async () => {
    const world = collateralWorld();
    world.service(A);
    const source = sourceIn(world, { endpoints: [A] });
    expect(() => source.setEndpoints([A, 'file:///etc'])).toThrow(TypeError);
    expect(await source.collateralFor(platform)).toMatchObject({ state: 'fresh' });
  });
});

describe('several endpoints', () => {
  it('are tried in their order', async () => {
    const world = collateralWorld();
    const b = world.service(B, 'pcs');
    const source = sourceIn(world, { endpoints: [A, `${B}/sgx/certification/v4/`] });
    await source.collateralFor(platform);
    expect(b.requests).toHaveLength(5);
    expect(source.status()[0]).toMatchObject({ state: 'fresh', origin: B });
  });

  it('cannot supply collateral of another root', async () => {
    const world = collateralWorld();
    const liar = createDevelopmentPki({ seed: new Uint8Array(32).fill(2) });
    world.service(A, 'pccs', liar);
    world.service(B);
    const source = sourceIn(world, { endpoints: [A, B] });
    await source.collateralFor(platform);
    expect(source.status()[0]?.origin).toBe(B);
    const alone = sourceIn(world);
    await expect(alone.collateralFor(platform)).rejects.toMatchObject(unavailable);
    expect(state(alone)).toBe('refused');
  });

  it('are each named with their reason when all fail', async () => {
    const world = collateralWorld();
    world.service(B).answer = (path) =>
      path.includes('/tcb')
        ? new Response(null, { status: 404, headers: { 'Error-Message': 'unknown' } })
        : undefined;
    const source = sourceIn(world, { endpoints: [A, B] });
    const failure = await source.collateralFor(platform).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      ...unavailable,
      message: expect.stringMatching(/ECONNREFUSED.*404.*unknown/),
    });
  });
});

describe('bad answers', () => {
  const text = (body: string, headers: Record<string, string> = {}) => new Response(body, { headers });
  it.each<[string, (path: string) => Response | Promise<Response> | undefined]>([
    ['a hang', (path) => (path.includes('/qe/') ? new Promise(() => undefined) : undefined)],
    ['no JSON', (path) => (path.includes('/tcb') ? text('<html>') : undefined)],
    ['JSON null', (path) => (path.includes('/tcb') ? text('null') : undefined)],
    [
      'no chain header',
      (path) => (path.includes('/qe/') ? text('{"enclaveIdentity":{},"signature":""}') : undefined),
    ],
    [
      'a chain that is no URL encoding',
      (path) =>
        path.includes('/tcb')
          ? text(`{"tcbInfo":{},"signature":"${'0'.repeat(128)}"}`, { 'TCB-Info-Issuer-Chain': '%zz' })
          : undefined,
    ],
    ['an empty CRL', (path) => (path.includes('/rootcacrl') ? text('') : undefined)],
    ['a CRL that is garbage', (path) => (path.includes('/pckcrl') ? text('deadbeef') : undefined)],
    ['an endless CRL', (path) => (path.includes('/rootcacrl') ? text('30'.repeat(2_000_000)) : undefined)],
    ['status 500', () => new Response('oops', { status: 500 })],
  ])('%s gives no collateral', async (_, answer) => {
    const world = collateralWorld();
    world.service(A).answer = answer;
    await expect(sourceIn(world, { timeoutMs: 200 }).collateralFor(platform)).rejects.toMatchObject(
      unavailable,
    );
  });
});

describe('renewal', () => {
  it('happens in the background at half of the validity', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await source.collateralFor(platform);
    const half = Date.UTC(2026, 10, 20) + 15 * DAY_MS;
    expect(source.status()[0]?.refreshAtMs).toBe(half);
    for (let now = START_MS; now < half; now += DAY_MS) await world.clock.to(now);
    expect(service.requests).toHaveLength(4);
    await world.clock.to(half);
    expect(service.requests).toHaveLength(8);
    expect((await source.collateralFor(platform)).validUntilMs).toBe(half - DAY_MS + 30 * DAY_MS);
  });

  it('does not delay a request while the service hangs', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await source.collateralFor(platform);
    service.answer = () => new Promise(() => undefined);
    await world.clock.advance(20 * DAY_MS);
    expect((await source.collateralFor(platform)).state).toBe('fresh');
  });

  it('is tried again with growing pauses, and reports the reason of the failure', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await source.collateralFor(platform);
    service.answer = down;
    await world.clock.to(Date.UTC(2026, 11, 5));
    const attempts: number[] = [];
    for (let minute = 0; minute < 120; minute++) {
      const before = service.requests.length;
      await world.clock.advance(60_000);
      attempts.push((service.requests.length - before) / 4);
    }
    const sum = attempts.reduce((all, one) => all + one, 0);
    expect(sum).toBeGreaterThan(4);
    expect(sum).toBeLessThan(20);
    expect(source.status()[0]).toMatchObject({
      state: 'fresh',
      lastFailure: expect.stringContaining('ECONNRESET'),
    });
    service.answer = undefined;
    await world.clock.advance(2 * 3_600_000);
    expect(source.status()[0]?.lastFailure).toBeUndefined();
  });

  it('ends when the source is closed', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await source.collateralFor(platform);
    await source.close();
    await world.clock.advance(20 * DAY_MS);
    expect(service.requests).toHaveLength(4);
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
  });
});

describe('an outage', () => {
  async function cutOff(graceMs: number) {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world, { graceMs });
    await source.collateralFor(platform);
    service.answer = down;
    await world.clock.to(VALID_UNTIL_MS);
    expect((await source.collateralFor(platform)).state).toBe('fresh');
    return { world, service, source };
  }

  it('does not extend the validity: without a grace period the set expires at its last millisecond', async () => {
    const { world, source } = await cutOff(0);
    await world.clock.advance(1);
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
    expect(state(source)).toBe('refused');
  });

  it('is tolerated for the configured grace period only, and is reported', async () => {
    const { world, service, source } = await cutOff(3 * DAY_MS);
    await world.clock.advance(1);
    expect((await source.collateralFor(platform)).state).toBe('grace');
    expect(state(source)).toBe('grace');
    await world.clock.to(VALID_UNTIL_MS + 3 * DAY_MS);
    expect((await source.collateralFor(platform)).state).toBe('grace');
    await world.clock.advance(1);
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
    expect(state(source)).toBe('refused');
    service.answer = undefined;
    await world.clock.advance(2 * 3_600_000);
    expect((await source.collateralFor(platform)).state).toBe('fresh');
  });

  it('at one service makes the source use another service with fresh collateral', async () => {
    const world = collateralWorld();
    world.service(A).nowMs = START_MS - 31 * DAY_MS;
    const b = world.service(B);
    const source = sourceIn(world, { endpoints: [A, B], graceMs: 5 * DAY_MS });
    expect((await source.collateralFor(platform)).state).toBe('fresh');
    expect(source.status()[0]?.origin).toBe(B);
    b.answer = down;
    const other = sourceIn(world, { endpoints: [A, B], graceMs: 5 * DAY_MS });
    expect((await other.collateralFor(platform)).state).toBe('grace');
    expect(other.status()[0]).toMatchObject({
      origin: A,
      lastFailure: expect.stringContaining('nextUpdate'),
    });
    b.answer = undefined;
    await world.clock.advance(10_000);
    expect(other.status()[0]).toMatchObject({ state: 'fresh', origin: B, lastFailure: undefined });
  });

  it('does not cause a retry at every request', async () => {
    const { world, service, source } = await cutOff(0);
    await world.clock.advance(1);
    const before = service.requests.length;
    for (let n = 0; n < 10; n++) await source.collateralFor(platform).catch(() => undefined);
    expect(service.requests.length - before).toBeLessThanOrEqual(4);
  });

  it('ends at once when a wrong clock is set back', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await world.clock.to(Date.UTC(2040, 0, 1));
    service.nowMs = START_MS;
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
    await world.clock.to(START_MS);
    expect((await source.collateralFor(platform)).state).toBe('fresh');
  });
});

describe('a clock set back', () => {
  it('below the dates of a cached set refuses this set until the clock is right again', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await source.collateralFor(platform);
    service.answer = down;
    await world.clock.to(START_MS - 3 * DAY_MS);
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
    expect(state(source)).toBe('refused');
    await world.clock.to(START_MS);
    expect((await source.collateralFor(platform)).state).toBe('fresh');
  });
});

describe('collateral never goes back', () => {
  it('to older documents', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    const first = await source.collateralFor(platform);
    service.nowMs = START_MS - 5 * DAY_MS;
    await world.clock.advance(16 * DAY_MS);
    expect(source.status()[0]?.lastFailure).toContain('COLLATERAL_ROLLED_BACK');
    expect((await source.collateralFor(platform)).documents).toBe(first.documents);
  });

  it('to a lower evaluation number', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world, { update: 'early' });
    await source.collateralFor(platform);
    service.answer = (path) =>
      path.includes('update=early')
        ? world.fetch(`${A}${path.replace('early', 'standard')}`, { method: 'GET' })
        : undefined;
    await world.clock.advance(16 * DAY_MS);
    expect(source.status()[0]).toMatchObject({ tcbEvaluationDataNumber: 21 });
    expect(source.status()[0]?.lastFailure).toContain('COLLATERAL_ROLLED_BACK');
  });

  it('to an older root CRL, also when it comes for another kind of platform', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    await source.collateralFor(platform);
    service.nowMs = START_MS - DAY_MS;
    await expect(source.collateralFor({ ...platform, ca: 'processor' })).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining('COLLATERAL_ROLLED_BACK'),
    });
  });
});

describe('many kinds of platforms', () => {
  it('replace the least recently used ones', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world, { capacity: 1 });
    await source.collateralFor(platform);
    await source.collateralFor({ ...platform, ca: 'processor' });
    expect(source.status()).toHaveLength(1);
    const before = service.requests.length;
    await source.collateralFor(platform);
    expect(service.requests.length).toBe(before + 4);
  });

  it('that no service knows are refused, and not requested again and again', async () => {
    const world = collateralWorld();
    const service = world.service(A);
    const source = sourceIn(world);
    const unknown = { fmspc: new Uint8Array(6), ca: 'platform' } as const;
    await expect(source.collateralFor(unknown)).rejects.toMatchObject(unavailable);
    await expect(source.collateralFor(unknown)).rejects.toMatchObject(unavailable);
    expect(service.requests).toHaveLength(4);
  });
});

describe('misuse', () => {
  it('fails at once', () => {
    const { verifier } = collateralWorld();
    expect(() => new PccsCollateralSource({ endpoints: [], verifier })).toThrow(TypeError);
    expect(() => new PccsCollateralSource({ endpoints: ['file:///etc'], verifier })).toThrow(TypeError);
  });
});
