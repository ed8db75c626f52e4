import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import type { FleetInForce } from '../../../src/fleet/in-force.ts';
import type { FleetFacts } from '../../../src/keyserver/judge.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';

const nothing: FleetInForce = {
  trustHashes: [],
  measurements: [],
  minimumTcbEvaluationDataNumber: 0,
  endorsed: [],
  revoked: [],
  moves: [],
  rekey: undefined,
};
const otherHash = new Uint8Array(48).fill(7);
const otherImage = { rtMr3: new Uint8Array(48).fill(8) };

/** The code by which a server is judged that runs under another section and another image. */
async function judged(asking: Partial<FleetInForce>, granting: Partial<FleetInForce> = {}): Promise<string> {
  const codes = await judgedTwice({ asking, enrolling: asking, granting });
  expect(codes[0]).toBe(codes[1]);
  return codes[0] ?? '';
}

/** The codes for one that is to get a slot, and for one that has one. */
async function judgedTwice(
  inForce: Readonly<Record<keyof FleetFacts, Partial<FleetInForce>>>,
): Promise<readonly string[]> {
  const world = keyServerWorld({
    fleet: {
      asking: () => ({ ...nothing, ...inForce.asking }),
      enrolling: () => ({ ...nothing, ...inForce.enrolling }),
      granting: () => ({ ...nothing, ...inForce.granting }),
    },
  });
  const quote = world.quote({
    reportData: new Uint8Array(64),
    body: { mrConfigId: otherHash, ...otherImage },
  });
  const verified = await world.evidenceVerifier.verify(parseQuote(quote));
  return (['judgeMachine', 'judgeKeyHolder'] as const).map((name) => {
    try {
      world.judge[name](verified);
      return 'none';
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : 'untyped';
    }
  });
}

const image = (): string => {
  const world = keyServerWorld();
  const { body } = parseQuote(world.quote({ reportData: new Uint8Array(64), body: otherImage }));
  return toPrefixedHex(measurementId(body));
};

describe('a server under another section and another image', () => {
  const trustHashes = [toPrefixedHex(otherHash)];

  it('is refused without a manifest', async () => {
    expect(await judged({})).toBe('MEASUREMENT_REFUSED');
  });

  it('is accepted when the manifest lists both', async () => {
    expect(await judged({ measurements: [image()], trustHashes })).toBe('none');
    expect(await judged({ measurements: [image()] })).toBe('TRUST_SECTION_REFUSED');
    expect(await judged({ trustHashes })).toBe('MEASUREMENT_REFUSED');
  });

  it('is not accepted by what this server grants to others', async () => {
    expect(await judged({}, { measurements: [image()], trustHashes })).toBe('MEASUREMENT_REFUSED');
  });

  it('gets no slot by what counts for a server that has one', async () => {
    const listed = { measurements: [image()], trustHashes };
    const codes = await judgedTwice({ asking: listed, enrolling: {}, granting: listed });
    expect(codes).toEqual(['MEASUREMENT_REFUSED', 'none']);
  });

  it('is refused when the manifest asks for newer TCB info than there is', async () => {
    const listed = { measurements: [image()], trustHashes };
    expect(await judged({ ...listed, minimumTcbEvaluationDataNumber: 1 })).toBe('none');
    expect(await judged({ ...listed, minimumTcbEvaluationDataNumber: 100_000 })).not.toBe('none');
  });
});
