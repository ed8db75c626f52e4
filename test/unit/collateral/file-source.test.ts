import { describe, expect, it } from 'vitest';
import { createDevelopmentPki, DEVELOPMENT_FMSPC } from '../../../mock-tdx/development-pki.ts';
import { FileCollateralSource } from '../../../src/collateral/file-source.ts';
import { collateralWorld, DAY_MS, START_MS } from '../../support/collateral-world.ts';

const platform = { fmspc: DEVELOPMENT_FMSPC, ca: 'platform' } as const;
const unavailable = { code: 'COLLATERAL_UNAVAILABLE', family: 'problem' };

function filesIn(files: Record<string, string>, graceMs = 0) {
  const world = collateralWorld();
  const reads: string[] = [];
  const source = new FileCollateralSource({
    files: Object.keys(files),
    verifier: world.verifier,
    clock: world.clock,
    graceMs,
    readText: async (path) => {
      reads.push(path);
      const text = files[path];
      if (text === undefined || text === '') {
        throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
      }
      return text;
    },
  });
  const setOf = (nowMs: number, ca: 'platform' | 'processor' = 'platform', tcbEvaluationDataNumber = 20) =>
    JSON.stringify(world.pki.collateral({ nowMs, ca, tcbEvaluationDataNumber }));
  return { world, source, reads, setOf };
}

describe('collateral from files', () => {
  it('serves each kind of platform from its file', async () => {
    const files: Record<string, string> = { a: '', b: '' };
    const { source, setOf, reads } = filesIn(files);
    files['a'] = setOf(START_MS);
    files['b'] = setOf(START_MS, 'processor');
    expect((await source.collateralFor(platform)).state).toBe('fresh');
    expect((await source.collateralFor({ ...platform, ca: 'processor' })).state).toBe('fresh');
    expect(reads).toEqual(['a', 'b']);
    expect(source.status().map(({ ca, state }) => [ca, state])).toEqual([
      ['platform', 'fresh'],
      ['processor', 'fresh'],
    ]);
  });

  it('ends with its validity, bridges a configured grace, and notices a new file', async () => {
    const files: Record<string, string> = { a: '' };
    const { world, source, setOf } = filesIn(files, DAY_MS);
    files['a'] = setOf(START_MS);
    const { validUntilMs } = await source.collateralFor(platform);
    await world.clock.to(validUntilMs + DAY_MS);
    expect((await source.collateralFor(platform)).state).toBe('grace');
    await world.clock.advance(1);
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
    expect(source.status()[0]?.state).toBe('refused');
    files['a'] = setOf(world.clock.nowMs());
    await world.clock.advance(10_000);
    expect((await source.collateralFor(platform)).state).toBe('fresh');
  });

  it('does not read the disk for every refused request', async () => {
    const { source, reads } = filesIn({ a: '' });
    for (let n = 0; n < 5; n++)
      await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
    expect(reads).toHaveLength(1);
  });

  it('reads again under a clock that was set back', async () => {
    const files: Record<string, string> = { a: '' };
    const { world, source, setOf } = filesIn(files);
    await expect(source.collateralFor(platform)).rejects.toMatchObject(unavailable);
    await world.clock.to(START_MS - DAY_MS);
    files['a'] = setOf(world.clock.nowMs());
    expect((await source.collateralFor(platform)).state).toBe('fresh');
  });

  it('takes the later of two files of one evaluation number', async () => {
    const files: Record<string, string> = { first: '', second: '' };
    const { source, setOf } = filesIn(files);
    files['first'] = setOf(START_MS - 2 * DAY_MS);
    files['second'] = setOf(START_MS);
    const { documents } = await source.collateralFor(platform);
    expect(documents).toEqual(JSON.parse(files['second']));
  });

  it('does not go back to a lower evaluation number', async () => {
    const files: Record<string, string> = { new: '', old: '' };
    const { source, setOf } = filesIn(files);
    files['new'] = setOf(START_MS, 'platform', 21);
    files['old'] = setOf(START_MS, 'platform', 20);
    await source.collateralFor(platform);
    expect(source.status()[0]?.tcbEvaluationDataNumber).toBe(21);
  });

  it.each([
    ['is missing', ''],
    ['is no JSON', '{'],
    ['is no set', '{}'],
  ])('says at the start when a file %s', async (_, text) => {
    const { source } = filesIn({ a: text });
    await expect(source.requireFiles()).rejects.toMatchObject({ code: 'COLLATERAL_FILE_INVALID' });
  });

  it('says at the start when a file is of another root or has run out', async () => {
    const files: Record<string, string> = { a: '' };
    const { source, setOf } = filesIn(files);
    files['a'] = setOf(START_MS - 60 * DAY_MS);
    await expect(source.requireFiles()).rejects.toMatchObject({
      code: 'COLLATERAL_FILE_INVALID',
      message: expect.stringContaining('EXPIRED'),
    });
    const stranger = createDevelopmentPki({ seed: new Uint8Array(32).fill(2) });
    files['a'] = JSON.stringify(stranger.collateral({ nowMs: START_MS }));
    await expect(source.requireFiles()).rejects.toMatchObject({
      code: 'COLLATERAL_FILE_INVALID',
      message: expect.stringContaining('ROOT_NOT_TRUSTED'),
    });
    files['a'] = setOf(START_MS);
    await expect(source.requireFiles()).resolves.toBeUndefined();
  });
});
