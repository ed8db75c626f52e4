import { describe, expect, it } from 'vitest';
import { compact, text } from '../../../devnet/chain/scale.ts';
import { concatBytes } from '../../../src/bytes/concat.ts';
import { provenLayout, runtimeReleases } from '../../../src/chain/runtime-releases.ts';
import { codeOf } from '../../support/thrown.ts';

const version = (specVersion: number, specName = 'node'): Uint8Array =>
  concatBytes(compact(specVersion), text(specName));
const layoutOf = (lastRuntimeUpgrade: Uint8Array | undefined, hasPlainMeasurements = false) =>
  provenLayout({ lastRuntimeUpgrade, hasPlainMeasurements });

describe('the layout of a proven state', () => {
  it.each([400, 500])('is known for spec version %i with quotes', (specVersion) => {
    expect(layoutOf(version(specVersion))).toEqual({
      serverInfo: ['tssAccount', 'x25519PublicKey', 'endpoint', 'tdxQuote'],
      entropyTssIndex: 0,
      hasTimestamp: true,
    });
  });

  it.each<[string, Uint8Array | undefined, boolean]>([
    ['v0.3.0, which has no quotes', version(300), false],
    ['v0.4.0, which has its measurements at the plain key', version(400), true],
    ['spec 500 with a value at the plain key', version(500), true],
    ['a newer version', version(501), false],
    ['a version between', version(499), false],
    ['another runtime', version(500, 'polkadot'), false],
    ['no version', undefined, false],
    ['a version that ends too early', version(500).subarray(0, -1), false],
    ['a version with more bytes', concatBytes(version(500), Uint8Array.of(0)), false],
  ])('is unknown for %s', (_name, upgrade, hasPlainMeasurements) => {
    expect(codeOf(() => layoutOf(upgrade, hasPlainMeasurements))).toBe('CHAIN_SHAPE_UNKNOWN');
  });

  it('has one form for each spec version and place of the measurements', () => {
    const forms = runtimeReleases.map(({ measurements, specVersion }) => `${specVersion} ${measurements}`);
    expect(new Set(forms).size).toBe(forms.length);
  });
});
