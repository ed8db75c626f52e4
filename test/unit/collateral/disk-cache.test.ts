import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { concatBytes } from '../../../src/bytes/concat.ts';
import { collateralWorld, DAY_MS, START_MS, settle } from '../../support/collateral-world.ts';
import { A, down, platform, sourceIn, unavailable } from '../../support/pccs-source.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

describe('the cache on disk', () => {
  const directory = '/cache';
  async function filledDisk() {
    const world = collateralWorld();
    const service = world.service(A);
    // The folder is made when something is saved.
    const fileSystem = new SimulatedDisk();
    const cache = { fileSystem, directory };
    const first = sourceIn(world, { cache });
    await first.collateralFor(platform);
    await settle();
    await first.close();
    return {
      world,
      service,
      fileSystem,
      cache,
      path: `${directory}/collateral-de7e10000000-platform-standard.json`,
    };
  }

  it('gives collateral at once after a restart during an outage', async () => {
    const { world, service, cache } = await filledDisk();
    service.answer = down;
    const source = sourceIn(world, { cache });
    expect((await source.collateralFor(platform)).state).toBe('fresh');
    expect(source.status()[0]?.origin).toBe('disk cache');
  });

  it('is used first, and newer collateral is fetched immediately', async () => {
    const { world, cache } = await filledDisk();
    const source = sourceIn(world, { cache });
    await source.collateralFor(platform);
    await settle();
    expect(source.status()[0]?.origin).toBe(A);
  });

  it.each<[string, (bytes: Uint8Array) => Uint8Array | undefined]>([
    ['nothing', () => undefined],
    ['garbage', () => new Uint8Array(1_000).fill(0x41)],
    ['a truncated set', (bytes) => bytes.slice(0, bytes.length / 2)],
    ['JSON that is no set', () => new TextEncoder().encode('{"tcb_info":1}')],
    [
      'a set with one digit changed',
      (bytes) => new TextEncoder().encode(new TextDecoder().decode(bytes).replace('UpToDate', 'UpToDatE')),
    ],
    [
      'a set of another root',
      () => {
        const liar = createDevelopmentPki({ seed: new Uint8Array(32).fill(2) });
        return new TextEncoder().encode(JSON.stringify(liar.collateral({ nowMs: START_MS })));
      },
    ],
    ['far too much', (bytes) => concatBytes(bytes, new Uint8Array(5_000_000).fill(0x20))],
  ])('with %s gives no collateral', async (_, tamper) => {
    const { world, service, fileSystem, cache, path } = await filledDisk();
    fileSystem.tamper(path, tamper(fileSystem.files().get(path) ?? new Uint8Array()));
    service.answer = down;
    const source = sourceIn(world, { cache });
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
  });

  it('with a set of another kind of platform gives no collateral', async () => {
    const { world, service, fileSystem, cache, path } = await filledDisk();
    fileSystem.tamper(path.replace('platform', 'processor'), fileSystem.files().get(path));
    service.answer = down;
    const source = sourceIn(world, { cache });
    await expect(source.collateralFor({ ...platform, ca: 'processor' })).rejects.toMatchObject(unavailable);
  });

  it('cannot bring back a set that is older than one seen before', async () => {
    const { world, service, fileSystem, cache, path } = await filledDisk();
    const old = JSON.stringify(world.pki.collateral({ nowMs: START_MS - 2 * DAY_MS, ca: 'processor' }));
    fileSystem.tamper(path.replace('platform', 'processor'), new TextEncoder().encode(old));
    const source = sourceIn(world, { cache });
    await source.collateralFor(platform);
    await settle();
    service.answer = down;
    await expect(source.collateralFor({ ...platform, ca: 'processor' })).rejects.toMatchObject(unavailable);
  });

  it('holding a newer set than the service has gives way to the service', async () => {
    const { world, service, cache } = await filledDisk();
    service.nowMs = START_MS - DAY_MS;
    const source = sourceIn(world, { cache });
    await source.collateralFor(platform);
    await settle();
    expect(source.status()[0]).toMatchObject({ origin: A, state: 'fresh', lastFailure: undefined });
  });

  it('holding a fresh set keeps it when the service only has one that has run out', async () => {
    const { world, service, cache } = await filledDisk();
    service.nowMs = START_MS - 31 * DAY_MS;
    const source = sourceIn(world, { cache, graceMs: 60 * DAY_MS });
    await source.collateralFor(platform);
    await settle();
    expect(source.status()[0]).toMatchObject({
      origin: 'disk cache',
      state: 'fresh',
      lastFailure: expect.stringContaining('past its nextUpdate'),
    });
  });

  it('holding early collateral under the name of the standard set does not refuse the services', async () => {
    const { world, fileSystem, cache, path } = await filledDisk();
    const { documents } = await sourceIn(world, { update: 'early' }).collateralFor(platform);
    fileSystem.tamper(path, new TextEncoder().encode(JSON.stringify(documents)));
    const source = sourceIn(world, { cache });
    await source.collateralFor(platform);
    expect(source.status()[0]).toMatchObject({ origin: 'disk cache', tcbEvaluationDataNumber: 21 });
    await settle();
    expect(source.status()[0]).toMatchObject({
      origin: A,
      tcbEvaluationDataNumber: 20,
      lastFailure: undefined,
    });
    // The file that the host has put there is replaced as well.
    await source.close();
    const next = sourceIn(world, { cache });
    await next.collateralFor(platform);
    expect(next.status()[0]).toMatchObject({ origin: 'disk cache', tcbEvaluationDataNumber: 20 });
  });

  it('does not weaken the rule that services never go back', async () => {
    const { world, service, cache } = await filledDisk();
    const source = sourceIn(world, { cache });
    await source.collateralFor(platform);
    await settle();
    service.nowMs = START_MS - DAY_MS;
    await world.clock.advance(20 * DAY_MS);
    expect(source.status()[0]).toMatchObject({
      origin: A,
      lastFailure: expect.stringContaining('COLLATERAL_ROLLED_BACK'),
    });
  });

  it('keeps standard collateral only', async () => {
    const { world, cache } = await filledDisk();
    for (const update of ['early', 20] as const)
      expect(() => sourceIn(world, { cache, update })).toThrow(TypeError);
  });

  it('that fails at any step costs nothing but itself', async () => {
    for (let step = 2; step < 9; step++) {
      const world = collateralWorld();
      world.service(A);
      const fileSystem = new SimulatedDisk();
      await fileSystem.mkdir(directory);
      fileSystem.cutAt(step);
      const source = sourceIn(world, { cache: { fileSystem, directory } });
      expect((await source.collateralFor(platform)).state).toBe('fresh');
      await settle();
      const survived = fileSystem.afterPowerCut('scrambled', step);
      const next = sourceIn(world, { cache: { fileSystem: survived, directory } });
      expect((await next.collateralFor(platform)).state).toBe('fresh');
    }
  });
});
