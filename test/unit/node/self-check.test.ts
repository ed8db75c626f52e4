import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../../mock-tdx/measurements.ts';
import type { TdBody } from '../../../mock-tdx/quote/td-body.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import type { CollateralSource } from '../../../src/collateral/collateral-source.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { examineOwnMachine, examineUntilGood, type SelfCheckParts } from '../../../src/node/self-check.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { FlooredClock } from '../../../src/time/clock.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../../src/trust/trust-section.ts';
import { ManualClock, START_MS } from '../../support/collateral-world.ts';
import { countingRandom, memoryCollateral } from '../../support/key-server-fixture.ts';

const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(1) });
const foreignPki = createDevelopmentPki({ seed: new Uint8Array(32).fill(99) });
const chain = { genesisHash: `0x${'00'.repeat(32)}` };
const trust = parseTrustSection({ chain });
const ownBody = { ...developmentMeasurements, mrConfigId: trustHash(trust) };
const outOfDate = { teeTcbSvn: Uint8Array.of(5, 1, 7, ...new Uint8Array(13)) };
const debug = { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) };

/** A machine that gets its quotes from the given source. */
function machine(
  makeQuote: (reportData: Uint8Array) => Uint8Array,
  collateral?: CollateralSource,
): SelfCheckParts {
  const clock = new ManualClock(START_MS);
  return {
    quotes: { quote: async (reportData) => makeQuote(reportData) },
    random: countingRandom(5),
    clock: new FlooredClock(clock),
    verifier: new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) }),
    collateral: collateral ?? memoryCollateral(pki, clock),
  };
}

const genuine =
  (body: Partial<TdBody> = {}) =>
  (reportData: Uint8Array): Uint8Array =>
    pki.quote({ reportData, body: { ...ownBody, ...body } });

const unavailable = (): CollateralSource => ({
  ...memoryCollateral(pki, new ManualClock(START_MS)),
  collateralFor: async () => {
    throw new ProblemError('COLLATERAL_UNAVAILABLE', 'the cache is empty');
  },
});

describe('the own machine', () => {
  it('is accepted with a genuine quote, and the check returns its measurement', async () => {
    const { measurement } = await examineOwnMachine(machine(genuine()), trust);
    expect(measurement).toEqual(measurementId(ownBody));
  });

  it.each([
    [
      'a quote that no genuine machine signed',
      (reportData: Uint8Array) => foreignPki.quote({ reportData, body: ownBody }),
    ],
    ['a genuine quote over other report data', () => genuine()(new Uint8Array(64))],
    ['a quote of a debug TD', genuine(debug)],
  ])('is refused with %s', async (_what, makeQuote) => {
    await expect(examineOwnMachine(machine(makeQuote), trust)).rejects.toMatchObject({
      code: 'OWN_QUOTE_REFUSED',
    });
  });

  it('is refused under another trust section than the measured one', async () => {
    const other = parseTrustSection({ chain, minimumThreshold: 3 });
    await expect(examineOwnMachine(machine(genuine()), other)).rejects.toMatchObject({
      code: 'TRUST_HASH_MISMATCH',
    });
  });

  it('may have an out-of-date TCB only within the grace of a recovery', async () => {
    expect((await examineOwnMachine(machine(genuine(outOfDate)), trust)).measurement).toHaveLength(32);
    const strict = parseTrustSection({ chain, freshness: { tcbGraceMs: 0 } });
    const makeQuote = genuine({ ...outOfDate, mrConfigId: trustHash(strict) });
    await expect(examineOwnMachine(machine(makeQuote), strict)).rejects.toMatchObject({
      code: 'OWN_QUOTE_REFUSED',
    });
  });

  it('is checked again until collateral is available', async () => {
    const parts = machine(genuine(), unavailable());
    await expect(examineOwnMachine(parts, trust)).rejects.toMatchObject({ code: 'COLLATERAL_UNAVAILABLE' });
    const stop = new AbortController();
    const refusals: string[] = [];
    let collateral = parts.collateral;
    const examined = await examineUntilGood(
      {
        ...parts,
        clock: new FlooredClock({ nowMs: () => START_MS, sleep: () => Promise.resolve() }),
        get collateral() {
          return collateral;
        },
        log: () => undefined,
      },
      trust,
      stop.signal,
      (reason) => {
        refusals.push(reason);
        if (refusals.length === 3) collateral = memoryCollateral(pki, new ManualClock(START_MS));
      },
    );
    expect(refusals).toHaveLength(3);
    expect(examined?.measurement).toEqual(measurementId(ownBody));
  });

  it('that has another MRCONFIGID than the trust section is logged with both hashes', async () => {
    const other = parseTrustSection({ chain, minimumThreshold: 3 });
    const stop = new AbortController();
    const logged: unknown[] = [];
    const log = (level: string, event: string, fields: unknown) => void logged.push([level, event, fields]);
    const clock = new FlooredClock({ nowMs: () => START_MS, sleep: () => Promise.resolve() });
    await examineUntilGood({ ...machine(genuine()), clock, log }, other, stop.signal, () => stop.abort());
    expect(logged).toEqual([
      [
        'error',
        'machine.refused',
        expect.objectContaining({
          trustHash: toPrefixedHex(trustHash(other)),
          mrConfigId: toPrefixedHex(ownBody.mrConfigId),
        }) as unknown,
      ],
    ]);
  });
});
