import { beforeAll, describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { tamperKit, tamperLines } from '../../../mock-tdx/tamper-kit.ts';
import { fetchCollateralOnce } from '../../../src/collateral/fetch-once.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import type { Fetch } from '../../../src/outbound/bounded-fetch.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { insecureTrustRoot } from '../../../src/tdx/trust-root.ts';
import { QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { collateralRoute } from '../../support/collateral-routes.ts';
import { collateralWorld, START_MS } from '../../support/collateral-world.ts';

type Set = Parameters<typeof collateralRoute>[0];

/** The code with which an asynchronous call ends, or `none`. */
async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return 'none';
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
}

const servingSet =
  (set: Set): Fetch =>
  async (url) =>
    collateralRoute(set, url);

describe('one set, fetched once', () => {
  const world = collateralWorld();
  const { pki, verifier, fetch } = world;
  world.service('http://good');
  world.service('http://pcs', 'pcs');
  world.service('http://stranger', 'pccs', createDevelopmentPki({ seed: new Uint8Array(32).fill(2) }));
  world.service('http://stale').nowMs = START_MS - 90 * 86_400_000;
  const platform = { fmspc: pki.fmspc, ca: 'platform' } as const;
  const ask = (
    endpoints: readonly string[],
    asked: typeof platform | { fmspc: Uint8Array; ca: 'processor' } = platform,
  ) => fetchCollateralOnce(asked, { endpoints, verifier, nowMs: START_MS, fetch });
  const check = (documents: Awaited<ReturnType<typeof ask>>) =>
    verifier.checkCollateral(documents, { nowMs: START_MS, ...platform });

  it('is the first valid one: services that are dead, lie, or lag behind are skipped', async () => {
    for (const good of ['http://good', 'http://pcs'])
      for (const bad of ['http://dead', 'http://stranger', 'http://stale'])
        expect(check(await ask([bad, good])).state).toBe('fresh');
    const processor = await ask(['http://good'], { fmspc: pki.fmspc, ca: 'processor' });
    expect(verifier.checkCollateral(processor, { nowMs: START_MS }).ca).toBe('processor');
  });

  it('is the first one when none is valid, and the verifier reports its defect', async () => {
    expect(
      await codeOf(async () => check(await ask(['http://dead', 'http://stranger', 'http://stale']))),
    ).toBe('ROOT_NOT_TRUSTED');
    expect(await codeOf(async () => check(await ask(['http://stale', 'http://stranger'])))).toMatch(
      /_EXPIRED$/,
    );
  });

  it('gives an error with the reason of each service when no service has a set', async () => {
    const failure = ask(['http://dead', 'http://dead2/']);
    await expect(failure).rejects.toMatchObject({ code: 'COLLATERAL_UNAVAILABLE', family: 'problem' });
    await expect(failure).rejects.toThrow(/http:\/\/dead: .*; http:\/\/dead2: /);
    const unknown = { fmspc: new Uint8Array(6), ca: 'processor' } as const;
    expect(await codeOf(() => ask(['http://good'], unknown))).toBe('COLLATERAL_UNAVAILABLE');
  });

  it('an endpoint that is not an address is misuse, and an unexpected error is passed on', async () => {
    await expect(ask(['ftp://good'])).rejects.toThrow(TypeError);
    const broken = { checkCollateral: () => assertNever() };
    await expect(
      fetchCollateralOnce(platform, { endpoints: ['http://good'], verifier: broken, nowMs: START_MS, fetch }),
    ).rejects.toThrow('a bug');
  });
});

function assertNever(): never {
  throw new Error('a bug');
}

describe('the tamper kit, served by a PCCS', () => {
  const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(4) });
  let lines: ReturnType<typeof tamperLines> extends Generator<infer Line> ? Map<string, Line> : never;
  beforeAll(() => {
    lines = new Map([...tamperLines(pki, START_MS)].map((line) => [line.id, line]));
  });

  it.each(tamperKit.map(({ name }) => name))('%s: the same verdict as from a file', async (name) => {
    const line = lines.get(name);
    if (line === undefined) throw new RangeError(name);
    const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(line.root) });
    const nowMs = Date.parse(line.now);
    const set = line.collateral as Set;
    const quote = Buffer.from(line.quote, 'base64');
    const code = await codeOf(async () => {
      const parsed = parseQuote(quote, { trailing: 'allow-zero-padding' });
      // No service has the PCK chain of a quote that does not carry it: the caller keeps it with the quote.
      const { pck_certificate_chain: chain } = set;
      const beside = chain === undefined ? {} : { pckCertificateChain: chain };
      const { platform: kind } = verifier.verifyChainOnly(parsed, { nowMs, ...beside });
      const fetched = await fetchCollateralOnce(kind, {
        endpoints: ['http://pccs'],
        verifier,
        nowMs,
        fetch: servingSet(set),
      });
      const collateral = chain === undefined ? fetched : { ...fetched, pck_certificate_chain: chain };
      verifier.verify(parsed, { collateral, nowMs });
    });
    // Policies have their say after the verifier; and some sets cannot be sent at all, so that nothing is offered.
    const byPolicy = line.expected.ok || line.expected.tcbStatus !== undefined;
    expect([
      byPolicy ? 'none' : line.expected.code,
      ...(byPolicy ? [] : ['COLLATERAL_UNAVAILABLE']),
    ]).toContain(code);
  });
});
