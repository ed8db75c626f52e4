import { describe, expect, it, vi } from 'vitest';
import { decide, decideChainOnly } from '../../../src/cli/quote/answer.ts';
import { formatChainReport, formatReport, formatVerdict } from '../../../src/cli/quote/report.ts';
import { reportFailure } from '../../../src/cli/shared/failure.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import type { CollateralDocuments } from '../../../src/tdx/collateral.ts';
import { defaultPolicy, parsePolicy, policyRules } from '../../../src/tdx/policy.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { QuoteVerifier, type VerifyOptions } from '../../../src/tdx/verify-quote.ts';
import {
  collateralWith,
  pki,
  plainCollateral,
  plainQuote,
  trustRoot,
  worldNowMs,
} from '../../support/tdx-world.ts';

const svns = (...first: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, index) => first[index] ?? 0);

/** The report as lines without colours. */
function report(
  bytes: Uint8Array,
  collateral: CollateralDocuments = plainCollateral(),
  policy = defaultPolicy,
  changes: Partial<VerifyOptions> = {},
): readonly string[] {
  const verifier = new QuoteVerifier({ trustRoot });
  const quote = parseQuote(bytes, { trailing: 'allow-zero-padding' });
  const options = { collateral, nowMs: worldNowMs, ...changes };
  const outcome = decide(verifier, quote, options, policy);
  const text = formatReport(outcome, { verifier, quote, options, policy });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters.
  return text.replaceAll(/\x1b\[\d+m/g, '').split('\n');
}

const lineWith = (lines: readonly string[], part: string): string =>
  lines.find((line) => line.includes(part)) ?? `no line with ${part}`;
const marked = (lines: readonly string[], mark: string): readonly string[] =>
  lines.filter((line) => line.startsWith(`  ${mark} `));

describe('the report of an accepted quote', () => {
  const lines = report(Buffer.concat([plainQuote({ version: 5 }), new Uint8Array(39)]));

  it('marks every fact and every rule of the policy as holding', () => {
    expect(marked(lines, '✗')).toEqual([]);
    expect(marked(lines, '·')).toEqual([]);
    for (const { title } of policyRules) expect(marked(lines, '✓')).toContain(`  ✓ ${title}`);
    expect(lines.at(-2)).toBe('accepted: UpToDate');
  });

  it('states version, padding, chain, root and collateral', () => {
    expect(lineWith(lines, 'structure')).toMatch(/version 5, TD report 1\.5, 39 zero bytes of padding/);
    const signatures = lineWith(lines, 'signatures');
    expect(signatures).toContain('INJECTED, INSECURE root');
    expect(signatures).toContain('platform CA');
    const serial = Buffer.from(pki.platform(0).pck.spec.serialNumber)
      .toString('hex')
      .replace(/^(00)+/, '');
    expect(signatures).toContain(`PCK ${serial}`);
    const collateral = lineWith(lines, 'collateral');
    for (const fact of ['de7e10000000', 'evaluation data 20', '2026-11-20 to 2026-12-20', 'fresh'])
      expect(collateral).toContain(fact);
    expect(lineWith(lines, 'TCB level')).toMatch(/not revoked; UpToDate as of \d{4}-\d\d-\d\d$/);
  });
});

describe('the report of a refused TCB', () => {
  it('names component, requirement, observation, difference and level', () => {
    const lines = report(plainQuote({ body: { teeTcbSvn: svns(5, 1, 7) } }));
    const [failed, ...others] = marked(lines, '✗');
    expect(others).toEqual([]);
    for (const fact of [
      'TCB status is accepted',
      'acceptedTcbStatuses',
      'OutOfDate',
      'TDX component 3 (TDX Late Microcode Update) is 7, 1 below the 8 of level',
      '(UpToDate)',
    ])
      expect(failed).toContain(fact);
    expect(lineWith(lines, 'TCB level')).toMatch(/OutOfDate as of .*; INTEL-SA-01103, INTEL-SA-01111$/);
    expect(lineWith(lines, 'refused: ')).toContain('TCB_STATUS_REFUSED');
    expect(lineWith(lines, 'hint')).toContain('update the platform');
  });

  it('lists each part with a shortfall: SGX component, PCE, TDX module', () => {
    const facts = { componentSvns: [7, 7, 2, 2, 4, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], pceSvn: 12 };
    const [failed] = marked(report(plainQuote({ facts, body: { teeTcbSvn: svns(4, 1, 8) } })), '✗');
    expect(failed).toMatch(/SGX component 1( \([^)]*\))? is 7, 1 below the 8 /);
    expect(failed).toMatch(/PCE is 12, \d+ below the \d+ /);
    expect(failed).toMatch(/TDX module is 4, 1 below the 5 /);
  });

  it('of a revoked TCB names the revoked part and the shortfalls', () => {
    const lines = report(plainQuote({ body: { teeTcbSvn: svns(3, 1, 8) } }));
    const revoked = lineWith(lines, '✗ TCB is not revoked');
    expect(revoked).toMatch(/Revoked \(TDX module, level of \d{4}-\d\d-\d\d\)/);
    expect(revoked).toContain('TDX module is 3, 2 below the 5 of level');
    expect(lineWith(lines, 'refused: ')).toContain('TCB_REVOKED');
  });

  it('of an unsupported TCB names the nearest level, and the policy is not evaluated', () => {
    const lines = report(plainQuote({ facts: { pceSvn: 4 } }));
    expect(marked(lines, '✗')).toHaveLength(1);
    expect(lineWith(lines, '✗')).toMatch(/TCB_NOT_SUPPORTED: .*PCE is 4, 1 below the 5/);
    expect(marked(lines, '·')).toHaveLength(policyRules.length);
  });
});

describe('the report of a refusal by the policy', () => {
  it('names rule, field, expected and observed of each rule that refuses', () => {
    const policy = parsePolicy({ mrTd: ['11'.repeat(48)], requireSeptVeDisable: true });
    const bytes = plainQuote({
      body: { tdAttributes: new Uint8Array(8), mrTd: new Uint8Array(48).fill(0x22) },
    });
    const lines = report(bytes, plainCollateral(), policy);
    expect(marked(lines, '✗')).toHaveLength(2);
    const sept = lineWith(lines, '✗ SEPT_VE_DISABLE');
    for (const fact of [
      'requireSeptVeDisable',
      'TDATTRIBUTES',
      'SEPT_VE_DISABLE (bit 28)',
      '0x0000000000000000',
    ])
      expect(sept).toContain(fact);
    const measured = lineWith(lines, '✗ measured');
    for (const fact of ['mrTd', '22'.repeat(48), '11'.repeat(48)]) expect(measured).toContain(fact);
    expect(lineWith(lines, 'refused: ')).toContain('TD_ATTRIBUTES_REFUSED');
  });

  it('names the advisory and the list', () => {
    const accepted = { acceptedTcbStatuses: ['OutOfDate'] };
    const old = plainQuote({ body: { teeTcbSvn: svns(5, 1, 7) } });
    const denied = report(
      old,
      plainCollateral(),
      parsePolicy({ ...accepted, deniedAdvisoryIds: ['INTEL-SA-01103'] }),
    );
    expect(lineWith(denied, '✗')).toMatch(/deniedAdvisoryIds: none of INTEL-SA-01103 .*got INTEL-SA-01103$/);
    expect(lineWith(denied, '✗')).not.toContain('INTEL-SA-01111');
    const only = report(
      old,
      plainCollateral(),
      parsePolicy({ ...accepted, acceptedAdvisoryIds: ['INTEL-SA-01103'] }),
    );
    expect(lineWith(only, '✗')).toMatch(/acceptedAdvisoryIds: only INTEL-SA-01103 .*got INTEL-SA-01111$/);
  });
});

describe('the report of bad evidence', () => {
  it('with bad collateral still shows the facts that the quote proves', () => {
    const lines = report(plainQuote(), plainCollateral(), defaultPolicy, {
      nowMs: worldNowMs + 90 * 86_400_000,
    });
    expect(lineWith(lines, '✗')).toMatch(/collateral: \w+_EXPIRED: .*no longer valid: \S+ to \S+/);
    expect(lineWith(lines, 'signatures')).toMatch(/^ {2}✓/);
    expect(lineWith(lines, 'TCB level')).toMatch(/^ {2}·/);
  });

  it('with a revoked platform names the certificate and the revocation list', () => {
    const { serialNumber } = pki.platform(0).pck.spec;
    const revoked = collateralWith(({ pckCrl }) => ({
      pckCrl: { ...pckCrl, spec: { ...pckCrl.spec, revokedSerialNumbers: [serialNumber] } },
    }));
    const lines = report(plainQuote(), revoked);
    expect(lineWith(lines, '✗')).toMatch(
      /CERTIFICATE_REVOKED: PCK certificate with serial [0-9a-f]+ is in the PCK CRL/,
    );
    expect(marked(lines, '·')).toHaveLength(policyRules.length);
  });

  it('with a forged signature names the signature', () => {
    const bytes = plainQuote();
    const lines = report(bytes.with(600, (bytes[600] ?? 0) ^ 1));
    expect(lineWith(lines, '✗ signatures')).toContain('QUOTE_SIGNATURE_INVALID');
    expect(lineWith(lines, 'refused: ')).toContain('QUOTE_SIGNATURE_INVALID');
  });
});

describe('the report of --chain-only', () => {
  const chainReport = (bytes: Uint8Array, nowMs = worldNowMs): string => {
    const verifier = new QuoteVerifier({ trustRoot });
    const quote = parseQuote(bytes);
    return formatChainReport(decideChainOnly(verifier, quote, nowMs), verifier, quote, nowMs);
  };

  it('lists the checks that were skipped', () => {
    expect(chainReport(plainQuote())).toMatch(/revocation, TCB level, TDX module and policy: not checked/);
    expect(chainReport(plainQuote())).toContain('accepted');
  });

  it('refuses a debug TD and an expired chain', () => {
    const debug = plainQuote({ body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } });
    expect(chainReport(debug)).toContain('TD_DEBUG');
    expect(chainReport(plainQuote(), Date.UTC(2060, 0))).toContain('CERTIFICATE_EXPIRED');
  });
});

describe('text from untrusted input', () => {
  const nasty = 'the service said \u001b[2K\r\naccepted: UpToDate\u202e';
  const error = new ProblemError('COLLATERAL_UNAVAILABLE', nasty, { hint: nasty });

  it('cannot fake a line of the verdict', () => {
    const printed = formatVerdict({ ok: false, error });
    expect(printed.split('\n')).toHaveLength(3);
    expect(printed.replace(/^.*?: /, '')).toMatch(/^[\x20-\x7e\n]*$/);
  });

  it('cannot fake a line of the report', () => {
    const verifier = new QuoteVerifier({ trustRoot });
    vi.spyOn(verifier, 'verifyChainOnly').mockImplementation(() => {
      throw error;
    });
    const quote = parseQuote(plainQuote());
    const printed = formatChainReport(decideChainOnly(verifier, quote, 0), verifier, quote, 0);
    expect(printed).not.toMatch(/^accepted/m);
  });

  it('cannot fake a line of a failure', () => {
    const printed: string[] = [];
    const spy = vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => printed.push(`${chunk}`) > 0);
    try {
      reportFailure(error);
    } finally {
      spy.mockRestore();
      process.exitCode = undefined;
    }
    expect(printed.join('')).toMatch(/^latchkey: [\x20-\x7e]*\n {2}hint: [\x20-\x7e]*\n$/);
  });
});
