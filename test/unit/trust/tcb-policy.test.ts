import { describe, expect, it } from 'vitest';
import { defaultPolicy, parsePolicy } from '../../../src/tdx/policy.ts';
import { tdReport15ExtendedLayout } from '../../../src/tdx/quote-layout.ts';
import { tdPolicyToJson } from '../../../src/trust/tcb-policy.ts';

const extendedReport = {
  ...Object.fromEntries(Object.keys(tdReport15ExtendedLayout).map((name) => [name, 'any'])),
  vmid: ['01', '00', '01'],
};

describe('the JSON of a TD policy', () => {
  it.each([
    ['the default', {}],
    ['a migratable TD', { allowMigratable: true }],
    ['an extended TD report', { extendedReport }],
    ['lists and masks', { mrServiceTd: ['00'.repeat(48)], extraTdAttributes: '0x8000000', mrTd: [] }],
  ])('is parsed to the same policy: %s', (_, policy) => {
    const parsed = parsePolicy(policy);
    const json = tdPolicyToJson(parsed);
    expect(tdPolicyToJson(parsePolicy(json))).toEqual(json);
  });

  it('omits fields added after version 1 of the trust section when they have their default', () => {
    const names = Object.keys(tdPolicyToJson(defaultPolicy));
    expect(names).not.toContain('allowMigratable');
    expect(names).not.toContain('extendedReport');
    expect(tdPolicyToJson(parsePolicy({ allowMigratable: true }))).toMatchObject({ allowMigratable: true });
  });

  it('treats the lists of an extended report as sets', () => {
    expect(tdPolicyToJson(parsePolicy({ extendedReport }))['extendedReport']).toMatchObject({
      vmid: ['0x00', '0x01'],
      tdId: 'any',
    });
  });
});
