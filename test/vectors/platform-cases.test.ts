import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { type PlatformCase, platformCases, VICTIM } from '../../mock-tdx/tamper-kit/platform-cases.ts';
import { TamperBench } from '../../mock-tdx/tamper-kit/tamper-bench.ts';
import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { errorCodes } from '../../src/errors/codes.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { parseQuote } from '../../src/tdx/quote.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import { PlatformLists } from '../../src/trust/platform-lists.ts';
import { PlatformRules } from '../../src/trust/platform-rules.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';

const NOW_MS = Date.UTC(2026, 10, 30, 12);
const bench = new TamperBench(createDevelopmentPki({ seed: new Uint8Array(32).fill(4) }), NOW_MS);
const account = AccountId.parse(VICTIM, 'account');
const section = parseTrustSection({ chain: { genesisHash: `0x${'ab'.repeat(32)}` }, platforms: {} });

/** Verifies the quote of a case and judges its platform, as a server or a node does. */
function judge({ make, request, platforms, lists }: PlatformCase): string {
  const { quote, collateral, nowMs, root } = make(bench);
  const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(root) });
  const content = new PlatformLists({ endorsed: [], revoked: [], moves: [], ...lists(bench) });
  const policy = { recover: 'bound', servers: 'registered', clients: 'any', ...platforms };
  // The cases hold the words of the configuration.
  const rules = new PlatformRules(
    { ...section, platforms: policy as typeof section.platforms },
    () => content,
  );
  try {
    const { ppid } = verifier.verify(parseQuote(quote), { collateral, nowMs }).platform;
    const boundTo = bench.pki.platform(0).facts.ppid;
    switch (request) {
      case 'recover':
        rules.judgeRecovery({ account, boundTo, ppid });
        break;
      case 'new-key':
        rules.judgeNewKey(ppid);
        break;
      case 'new-server':
        rules.judgeServer(ppid, 'new');
        break;
      case 'holder':
        rules.judgeServer(ppid, 'holder');
        break;
    }
    return 'allowed';
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
}

describe('cases of platforms in the tamper kit', () => {
  it('has no name twice, and expects only existing codes', () => {
    expect(new Set(platformCases.map(({ name }) => name)).size).toBe(platformCases.length);
    const codes = platformCases.map(({ expected }) => expected).filter((code) => code !== 'allowed');
    expect(codes.filter((code) => !Object.hasOwn(errorCodes, code))).toEqual([]);
    expect(codes.length).toBeGreaterThan(20);
  });

  it.each(platformCases)('$name: $about', (one) => {
    expect(judge(one)).toBe(one.expected);
  });
});
