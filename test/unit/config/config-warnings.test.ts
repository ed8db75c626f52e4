import { describe, expect, it } from 'vitest';
import { configWarnings, IMAGES_BY_ENDPOINTS } from '../../../src/config/config-warnings.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { yamlWith } from './config-fixture.ts';

const checkpoint = {
  blockNumber: 1,
  blockHash: `0x${'11'.repeat(32)}`,
  authoritySetId: 0,
  authorities: [`0x${'22'.repeat(32)}`],
};

const warningsOf = (changes: Readonly<Record<string, unknown>>) =>
  configWarnings(loadConfig(yamlWith(changes), {}));

describe('measurements that the chain accepts', () => {
  const byChain = { 'trust.measurement': { policy: 'chain' } };

  it.each([1, 2])(
    'without a checkpoint, %i endpoints choose the images: that is warned of',
    async (agreement) => {
      const endpoints = ['ws://a.example', 'ws://b.example'];
      const chain = { 'chain.agreement': agreement, 'chain.endpoints': endpoints };
      expect(await warningsOf({ ...byChain, ...chain })).toContain(IMAGES_BY_ENDPOINTS);
    },
  );

  it('with a checkpoint the chain chooses them', async () => {
    expect(await warningsOf({ ...byChain, 'trust.chain.checkpoint': checkpoint })).not.toContain(
      IMAGES_BY_ENDPOINTS,
    );
  });

  it('of other policies no endpoint decides', async () => {
    expect(await warningsOf({})).not.toContain(IMAGES_BY_ENDPOINTS);
    const pinned = { policy: 'pinned', accepted: [`0x${'33'.repeat(32)}`] };
    expect(await warningsOf({ 'trust.measurement': pinned })).not.toContain(IMAGES_BY_ENDPOINTS);
  });
});
