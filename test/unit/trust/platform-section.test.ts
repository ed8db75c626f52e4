import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection, platformPolicyOf, type TrustSection } from '../../../src/trust/trust-section.ts';

const chain = { genesisHash: `0x${'ab'.repeat(32)}` };
const parse = (platforms?: unknown): TrustSection =>
  parseTrustSection(platforms === undefined ? { chain } : { chain, platforms });
const hashOf = (section: TrustSection): string => toHex(trustHash(section));

describe('trust.platforms', () => {
  it('without it any platform recovers, and the trust hash is that of the releases before', () => {
    expect(platformPolicyOf(parse())).toEqual({ recover: 'any', servers: 'registered', clients: 'any' });
    expect(hashOf(parse())).toBe(
      'ae7d42af83c2c54f1519e009db6ac1715dfacf4bbf7055a3343a3e8379996acdf80b0dcdae0adbb2ae13256c67f7b461',
    );
  });

  it('with it a key is bound to its platform, unless it says otherwise', () => {
    const filled = { recover: 'bound', servers: 'registered', clients: 'any' };
    expect(parse({}).platforms).toEqual(filled);
    expect(hashOf(parse({}))).toBe(hashOf(parse(filled)));
    expect(hashOf(parse({}))).not.toBe(hashOf(parse()));
    expect(parseTrustSection(parse({}))).toEqual(parse({}));
  });

  it.each([
    ['recover', { recover: 'endorsed' }],
    ['servers', { servers: 'endorsed' }],
    ['clients', { clients: 'endorsed' }],
  ])('refuses %s: endorsed where nobody can endorse', (field, platforms) => {
    expect(() => parse(platforms)).toThrow(
      expect.objectContaining({ code: 'TRUST_SECTION_INVALID', field: `trust.platforms.${field}` }),
    );
  });

  it.each([{ recover: 'some' }, { servers: 'any' }, { clients: 'bound' }, { other: true }])(
    'refuses %j',
    (platforms) => {
      expect(() => parse(platforms)).toThrow(expect.objectContaining({ code: 'TRUST_SECTION_INVALID' }));
    },
  );

  it('counts only servers on endorsed platforms where there is an authority', () => {
    const platforms = { recover: 'bound', clients: 'any' } as const;
    const servers = (more: object) => platformPolicyOf({ ...parse(), platforms, ...more }).servers;
    expect(servers({ authority: {} })).toBe('endorsed');
    expect(servers({ authority: undefined })).toBe('registered');
  });
});
