import { describe, expect, it } from 'vitest';
import type { QuoteRequest } from '../../../mock-tdx/development-pki.ts';
import { applyPolicy, defaultPolicy, parsePolicy, policyRules } from '../../../src/tdx/policy.ts';
import { tdReport15ExtendedLayout } from '../../../src/tdx/quote-layout.ts';
import { describeTdAttributes } from '../../../src/tdx/td-attributes.ts';
import { pki, plainQuote, quoteWith, verifyInWorld, worldNowMs } from '../../support/tdx-world.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const DAY_MS = 86_400_000;

function judge(quote: Uint8Array, policy: object = {}, nowMs = worldNowMs): string {
  const verified = verifyInWorld(quote);
  return codeOf(() => applyPolicy(verified, parsePolicy(policy), nowMs));
}
const withBody = (body: NonNullable<QuoteRequest['body']>, version: 4 | 5 = 4): Uint8Array =>
  plainQuote({ version, body });
const withAttributes = (text: string): Uint8Array => withBody({ tdAttributes: hex(text) });

describe('1f TD attributes and XFAM', () => {
  it.each([
    ['0000001000000000', {}, 'none'],
    ['0100001000000000', {}, 'TD_DEBUG'],
    ['0100001000000000', { extraTdAttributes: '0xffffffffdfffff00' }, 'TD_DEBUG'],
    ['0000003000000000', { extraTdAttributes: '0xffffffffdfffff00' }, 'TD_ATTRIBUTES_REFUSED'],
    ['0000003000000000', { allowMigratable: true }, 'none'],
    ['0200001000000000', {}, 'TD_ATTRIBUTES_REFUSED'],
    ['8000001000000000', {}, 'TD_ATTRIBUTES_REFUSED'],
    ['0000003000000000', {}, 'TD_ATTRIBUTES_REFUSED'],
    ['0000001080000000', {}, 'TD_ATTRIBUTES_REFUSED'],
    ['0000001800000000', {}, 'TD_ATTRIBUTES_REFUSED'],
    ['0000001800000000', { extraTdAttributes: '0x8000000' }, 'none'],
    ['0000000000000000', {}, 'TD_ATTRIBUTES_REFUSED'],
    ['0000000000000000', { requireSeptVeDisable: false }, 'none'],
    ['0000005000000000', {}, 'none'],
    ['0000005000000000', { allowPks: false }, 'TD_ATTRIBUTES_REFUSED'],
    ['0000001000000080', {}, 'none'],
    ['0000001000000080', { allowPerfmon: false }, 'TD_ATTRIBUTES_REFUSED'],
    ['0000009000000000', {}, 'TD_ATTRIBUTES_REFUSED'],
    ['0000009000000000', { allowKl: true }, 'none'],
  ])('attributes %s under %o: %s', (attributes, policy, code) => {
    expect(judge(withAttributes(attributes), policy)).toBe(code);
  });

  it.each([
    ...[
      'e702060000000000',
      'e718060000000000',
      'e742060000000000',
      'e71a060000000000',
      '0702000000000000',
      'e700060000000000',
    ].map((xfam) => [xfam, {}, 'none'] as const),
    ['0000000000000000', {}, 'XFAM_REFUSED'],
    ['0100000000000000', {}, 'XFAM_REFUSED'],
    ['0700080000000000', {}, 'XFAM_REFUSED'],
    ['0700080000000000', { allowedXfam: '0x80007' }, 'none'],
    ['0300000000000000', { requiredXfam: '0x7' }, 'XFAM_REFUSED'],
  ] as const)('XFAM %s under %o: %s', (xfam, policy, code) => {
    expect(judge(withBody({ xfam: hex(xfam) }), policy)).toBe(code);
  });

  it('MRSERVICETD must be zero or listed; TD report 1.0 has none', () => {
    const mrServiceTd = new Uint8Array(48).fill(9);
    expect(judge(withBody({ mrServiceTd }, 5))).toBe('SERVICE_TD_REFUSED');
    expect(judge(withBody({ mrServiceTd }, 5), { mrServiceTd: ['09'.repeat(48)] })).toBe('none');
    expect(judge(withBody({}, 5))).toBe('none');
    expect(judge(withBody({}, 4), { mrServiceTd: [] })).toBe('none');
  });

  describe('an extended TD report 1.5', () => {
    const any = Object.fromEntries(Object.keys(tdReport15ExtendedLayout).map((name) => [name, 'any']));
    const extended = (extension: object = {}): Uint8Array => {
      const { body } = pki.quoteParts({ reportData: new Uint8Array(64) });
      const changed = { ...body.extension, ...extension };
      return plainQuote({ version: 5, layout: '1.5-extended', body: { extension: changed } });
    };

    it('is refused by every policy without rules for its fields', () => {
      expect(judge(extended())).toBe('EXTENDED_REPORT_REFUSED');
      expect(judge(extended(), { acceptedTcbStatuses: ['OutOfDate'] })).toBe('EXTENDED_REPORT_REFUSED');
      expect(judge(extended(), { extendedReport: any })).toBe('none');
      expect(judge(withBody({}, 5), { extendedReport: any })).toBe('none');
    });

    it.each(Object.entries(tdReport15ExtendedLayout))('%s must be in its list', (field, [, byteLength]) => {
      const quote = extended({ [field]: new Uint8Array(byteLength).fill(0xab) });
      const withRule = (rule: unknown) => ({ extendedReport: { ...any, [field]: rule } });
      expect(judge(quote, withRule(['ab'.repeat(byteLength)]))).toBe('none');
      expect(judge(quote, withRule(['00'.repeat(byteLength)]))).toBe('EXTENDED_REPORT_REFUSED');
      expect(judge(quote, withRule([]))).toBe('EXTENDED_REPORT_REFUSED');
      const expectedOf = (rule: readonly string[]) =>
        thrownBy(() => applyPolicy(verifyInWorld(quote), parsePolicy(withRule(rule) as object), worldNowMs));
      expect(expectedOf([])).toMatchObject({ field, expected: 'none at all' });
      const zeros = '00'.repeat(byteLength);
      expect(expectedOf([zeros, zeros])).toMatchObject({ field, expected: `${zeros} or ${zeros}` });
      const { [field]: _, ...rest } = any;
      expect(thrownBy(() => parsePolicy({ extendedReport: rest }))).toMatchObject({
        field: `extendedReport.${field}`,
        expected: 'an allow list, or "any"',
      });
      for (const wrong of [
        rest,
        { ...any, [field]: ['00'.repeat(byteLength + 1)] },
        { ...any, [field]: 'all' },
      ])
        expect(codeOf(() => parsePolicy({ extendedReport: wrong }))).toBe('POLICY_INVALID');
    });

    it('must have no other fields', () => {
      for (const [wrong, field] of [
        [{ ...any, vmId: 'any' }, 'extendedReport.vmId'],
        [[], 'extendedReport'],
        ['any', 'extendedReport'],
        [null, 'extendedReport'],
      ])
        expect(thrownBy(() => parsePolicy({ extendedReport: wrong }))).toMatchObject({
          code: 'POLICY_INVALID',
          field,
        });
    });

    it('must have no service TD', () => {
      const quote = plainQuote({
        version: 5,
        layout: '1.5-extended',
        body: { mrServiceTd: new Uint8Array(48).fill(1) },
      });
      expect(judge(quote, { extendedReport: any })).toBe('SERVICE_TD_REFUSED');
    });
  });

  it('a migratable TD is refused by name, and no mask of allowed bits permits it', () => {
    const migratable = withAttributes('0000003000000000');
    const refusal = thrownBy(() => applyPolicy(verifyInWorld(migratable), defaultPolicy, worldNowMs));
    expect(refusal).toMatchObject({ code: 'TD_ATTRIBUTES_REFUSED' });
    expect((refusal as Error).message).toMatch(/^allowMigratable: TDATTRIBUTES must be without MIGRATABLE/);
    expect(thrownBy(() => parsePolicy({ extraTdAttributes: '0x20000000' }))).toMatchObject({
      code: 'POLICY_INVALID',
      expected: expect.stringContaining('allowMigratable'),
    });
    const locker = thrownBy(() =>
      applyPolicy(verifyInWorld(withAttributes('0000009000000000')), defaultPolicy, worldNowMs),
    );
    expect((locker as Error).message).toMatch(/^TD attributes: TDATTRIBUTES must be without KL/);
    // A policy that code has put together does not pass through parsePolicy.
    const mask = { ...defaultPolicy, extraTdAttributes: 0x2000_0000n };
    expect(codeOf(() => applyPolicy(verifyInWorld(migratable), mask, worldNowMs))).toBe(
      'TD_ATTRIBUTES_REFUSED',
    );
  });

  it('a refusal names the bits', () => {
    expect(describeTdAttributes(hex('0000003800000040'))).toBe('LASS, SEPT_VE_DISABLE, MIGRATABLE, TPA');
    expect(describeTdAttributes(hex('0100009000000080'))).toBe('DEBUG, SEPT_VE_DISABLE, KL, PERFMON');
    expect(describeTdAttributes(hex('0200004000000000'))).toBe('PKS, 0x2');
    expect(describeTdAttributes(new Uint8Array(8))).toBe('none');
  });
});

describe('measurements', () => {
  it.each([
    'mrTd',
    'rtMr0',
    'rtMr1',
    'rtMr2',
    'rtMr3',
    'mrConfigId',
    'mrOwner',
    'mrOwnerConfig',
    'mrSeam',
  ] as const)('%s must be in its list', (field) => {
    const quote = withBody({ [field]: new Uint8Array(48).fill(0xab) });
    expect(judge(quote, { [field]: ['ab'.repeat(48)] })).toBe('none');
    expect(judge(quote, { [field]: ['00'.repeat(48), `0x${'AB'.repeat(48)}`] })).toBe('none');
    expect(judge(quote, { [field]: ['00'.repeat(48)] })).toBe('MEASUREMENT_REFUSED');
    expect(judge(quote, { [field]: [] })).toBe('MEASUREMENT_REFUSED');
    const refused = thrownBy(() =>
      applyPolicy(verifyInWorld(quote), parsePolicy({ [field]: ['00'.repeat(48)] }), 0),
    );
    expect(refused).toMatchObject({ field, expected: '00'.repeat(48), observed: 'ab'.repeat(48) });
    const nothing = thrownBy(() => applyPolicy(verifyInWorld(quote), parsePolicy({ [field]: [] }), 0));
    expect(nothing).toMatchObject({ field, expected: 'none at all' });
  });

  it('report data must be equal', () => {
    const quote = plainQuote({ reportData: new Uint8Array(64).fill(7) });
    expect(judge(quote, { reportData: ['07'.repeat(64)] })).toBe('none');
    expect(judge(quote, { reportData: ['08'.repeat(64)] })).toBe('MEASUREMENT_REFUSED');
  });
});

describe('TCB status', () => {
  const outOfDate = plainQuote({ body: { teeTcbSvn: hex('04010800000000000000000000000000') } });
  const oldMicrocode = plainQuote({ body: { teeTcbSvn: hex('05010700000000000000000000000000') } });
  const revoked = quoteWith(({ qeReport }) => ({ qeReport: { ...qeReport, isvSvn: 3 } }));

  it('only UpToDate is accepted by default, other statuses when listed, Revoked never', () => {
    expect(judge(plainQuote())).toBe('none');
    expect(judge(plainQuote(), { acceptedTcbStatuses: ['OutOfDate'] })).toBe('TCB_STATUS_REFUSED');
    expect(judge(outOfDate)).toBe('TCB_STATUS_REFUSED');
    expect(judge(outOfDate, { acceptedTcbStatuses: ['UpToDate', 'OutOfDate'] })).toBe('none');
    expect(judge(revoked)).toBe('TCB_REVOKED');
    expect(codeOf(() => parsePolicy({ acceptedTcbStatuses: ['Revoked'] }))).toBe('POLICY_INVALID');
  });

  it('a refusal names the component, the level and the size of the shortfall', () => {
    const error = thrownBy(() => applyPolicy(verifyInWorld(outOfDate), defaultPolicy, worldNowMs));
    expect(error).toMatchObject({ field: 'tcbStatus', expected: 'UpToDate' });
    expect((error as Error).message).toContain(
      'TDX module is 4, 1 below the 5 of level 2025-05-14 (UpToDate)',
    );
    const hardening = plainQuote({
      facts: { componentSvns: [7, 7, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0] },
    });
    expect(judge(hardening)).toBe('TCB_STATUS_REFUSED');
  });

  it('a grace counts from the level’s tcbDate, to the millisecond, and only for out of date', () => {
    const { tcbDateMs } = verifyInWorld(outOfDate);
    const policy = { tcbGraceDays: 30 };
    expect(judge(outOfDate, policy, tcbDateMs + 30 * DAY_MS)).toBe('none');
    expect(judge(outOfDate, policy, tcbDateMs + 30 * DAY_MS + 1)).toBe('TCB_STATUS_REFUSED');
    expect(judge(revoked, { tcbGraceDays: 3650 })).toBe('TCB_REVOKED');
    const hardening = plainQuote({
      facts: { componentSvns: [7, 7, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0] },
    });
    expect(judge(hardening, { tcbGraceDays: 3650 })).toBe('TCB_STATUS_REFUSED');
  });

  it('a machine that loads a newer TDX module does not lose the grace of its TDs', () => {
    const loaded = (now: string) =>
      withBody(
        {
          teeTcbSvn: hex('04010800000000000000000000000000'),
          teeTcbSvn2: hex(`${now}010800000000000000000000000000`),
        },
        5,
      );
    const { tcbDateMs } = verifyInWorld(loaded('04'));
    const endMs = tcbDateMs + 30 * DAY_MS;
    for (const [now, status] of [
      ['04', 'OutOfDate'],
      ['05', 'TDRelaunchAdvised'],
    ] as const) {
      expect(verifyInWorld(loaded(now))).toMatchObject({ tcbStatus: status, tcbDateMs });
      expect(judge(loaded(now), { tcbGraceDays: 30 }, endMs)).toBe('none');
      expect(judge(loaded(now), { tcbGraceDays: 30 }, endMs + 1)).toBe('TCB_STATUS_REFUSED');
      expect(judge(loaded(now), { tcbGraceDays: 0 }, tcbDateMs)).toBe('TCB_STATUS_REFUSED');
    }
  });

  it('the loaded TCB is judged too: never revoked, and with a status that the policy accepts', () => {
    const loaded = (svn: number) =>
      withBody(
        {
          teeTcbSvn: hex('05010800000000000000000000000000'),
          teeTcbSvn2: hex(`0${svn}010800000000000000000000000000`),
        },
        5,
      );
    expect(verifyInWorld(loaded(4)).tcbStatus).toBe('UpToDate');
    expect(judge(loaded(5))).toBe('none');
    expect(judge(loaded(4))).toBe('TCB_STATUS_REFUSED');
    expect(judge(loaded(4), { acceptedTcbStatuses: ['UpToDate', 'OutOfDate'] })).toBe('none');
    expect(judge(loaded(4), { tcbGraceDays: 3650 })).toBe('none');
    expect(judge(loaded(2), { acceptedTcbStatuses: ['UpToDate', 'OutOfDate'] })).toBe('TCB_REVOKED');
    expect(thrownBy(() => applyPolicy(verifyInWorld(loaded(2)), defaultPolicy, worldNowMs))).toMatchObject({
      field: 'currentTcb.tcbStatus',
    });
    const denied = { acceptedTcbStatuses: ['UpToDate', 'OutOfDate'], deniedAdvisoryIds: ['INTEL-SA-01192'] };
    expect(judge(loaded(5), denied)).toBe('none');
    expect(judge(loaded(4), denied)).toBe('ADVISORY_REFUSED');
    // The relaunch rule has already used both.
    const relaunch = withBody(
      {
        teeTcbSvn: hex('04010800000000000000000000000000'),
        teeTcbSvn2: hex('05010800000000000000000000000000'),
      },
      5,
    );
    expect(judge(relaunch, { acceptedTcbStatuses: ['TDRelaunchAdvised'] })).toBe('none');
    expect(judge(relaunch)).toBe('TCB_STATUS_REFUSED');
  });

  it('a refused status without a shortfall has an empty list', () => {
    const error = thrownBy(() =>
      applyPolicy(verifyInWorld(), parsePolicy({ acceptedTcbStatuses: [] }), worldNowMs),
    );
    expect(error).toMatchObject({ code: 'TCB_STATUS_REFUSED', observed: 'UpToDate' });
  });

  it('advisories are judged by an allow list and a deny list', () => {
    const accepted = { acceptedTcbStatuses: ['OutOfDate', 'UpToDate'] };
    const both = ['INTEL-SA-01103', 'INTEL-SA-01111'];
    expect(judge(oldMicrocode, accepted)).toBe('none');
    expect(judge(oldMicrocode, { ...accepted, acceptedAdvisoryIds: both })).toBe('none');
    expect(judge(oldMicrocode, { ...accepted, acceptedAdvisoryIds: both.slice(1) })).toBe('ADVISORY_REFUSED');
    expect(judge(oldMicrocode, { ...accepted, deniedAdvisoryIds: both.slice(1) })).toBe('ADVISORY_REFUSED');
    expect(judge(plainQuote(), { acceptedAdvisoryIds: [], deniedAdvisoryIds: both })).toBe('none');
  });

  it('a refused advisory names the list that refuses it, and only that', () => {
    const refusalOf = (policy: object) =>
      thrownBy(() =>
        applyPolicy(
          verifyInWorld(oldMicrocode),
          parsePolicy({ acceptedTcbStatuses: ['OutOfDate'], ...policy }),
          worldNowMs,
        ),
      );
    expect(refusalOf({ acceptedAdvisoryIds: [] })).toMatchObject({
      expected: 'only none at all',
      observed: 'INTEL-SA-01103, INTEL-SA-01111',
    });
    const both = { acceptedAdvisoryIds: ['INTEL-SA-01103'], deniedAdvisoryIds: ['INTEL-SA-01103'] };
    expect(refusalOf(both)).toMatchObject({ expected: 'none of INTEL-SA-01103', observed: 'INTEL-SA-01103' });
  });

  it('the refusal of a revoked TCB names the revoked part; that of an ended grace names its end', () => {
    const error = thrownBy(() => applyPolicy(verifyInWorld(revoked), defaultPolicy, worldNowMs));
    expect(error).toMatchObject({
      code: 'TCB_REVOKED',
      observed: expect.stringMatching(
        /^Revoked \(quoting enclave, level of .*\): quoting enclave is 3, \d below/,
      ),
    });
    const late = thrownBy(() =>
      applyPolicy(verifyInWorld(outOfDate), parsePolicy({ tcbGraceDays: 30 }), worldNowMs),
    );
    expect(late).toMatchObject({ expected: 'UpToDate or OutOfDate until 2024-04-12' });
  });

  it('the evaluation number has a minimum', () => {
    expect(judge(plainQuote(), { minimumTcbEvaluationDataNumber: 20 })).toBe('none');
    expect(judge(plainQuote(), { minimumTcbEvaluationDataNumber: 21 })).toBe('TCB_EVALUATION_TOO_OLD');
  });
});

describe('policy files', () => {
  it('are strict', () => {
    for (const policy of [
      null,
      [],
      'text',
      { acceptedTcbStatus: [] },
      { acceptedTcbStatuses: 'UpToDate' },
      { acceptedTcbStatuses: ['Uptodate'] },
      { tcbGraceDays: -1 },
      { tcbGraceDays: 1.5 },
      { tcbGraceDays: 3651 },
      { tcbGraceDays: '30' },
      { deniedAdvisoryIds: [''] },
      { acceptedAdvisoryIds: [5] },
      { requireSeptVeDisable: 1 },
      { allowPks: undefined },
      { extraTdAttributes: '0x1' },
      { extraTdAttributes: '0x80' },
      { requiredXfam: '3' },
      { requiredXfam: ['0x3'] },
      { allowedXfam: `0x${'1'.repeat(17)}` },
      { mrTd: ['00'] },
      { mrTd: [1] },
      { mrTd: '00'.repeat(48) },
      { mrServiceTd: ['00'] },
      { reportData: ['00'.repeat(48)] },
      { measurements: {} },
      { __proto__: null, constructor: 1 },
    ]) {
      expect(
        codeOf(() => parsePolicy(policy)),
        JSON.stringify(policy),
      ).toBe('POLICY_INVALID');
    }
    expect(thrownBy(() => parsePolicy({ mrTd: ['00'] }))).toMatchObject({ family: 'problem', field: 'mrTd' });
  });

  it.each([
    [null, 'null'],
    ['text', '"text"'],
    [[], 'a list'],
    [{ allowPks: {} }, 'an object'],
    [{ allowPks: ['true'] }, 'a list'],
    [{ allowPks: null }, 'null'],
    [{ allowPks: 1 }, '1'],
    [{ allowPks: undefined }, 'undefined'],
  ])('a refusal shows what came, unless it is a list or an object: %j', (policy, observed) => {
    expect(thrownBy(() => parsePolicy(policy))).toMatchObject({ code: 'POLICY_INVALID', observed });
  });

  it('have defaults for everything', () => {
    expect(parsePolicy({})).toEqual(defaultPolicy);
    expect(policyRules.map(({ title }) => title)).toHaveLength(12);
  });
});
