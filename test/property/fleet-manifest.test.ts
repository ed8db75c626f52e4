import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/crypto/sha2.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { emptyRules, encodeBody, type FleetRules, readBody } from '../../src/fleet/fleet-body.ts';
import { decodeHeader, encodeHeader } from '../../src/fleet/fleet-header.ts';
import { type FleetState, noteHeader, takeManifest } from '../../src/fleet/fleet-state.ts';
import { inForce } from '../../src/fleet/in-force.ts';
import type { Manifest } from '../../src/fleet/manifest.ts';
import { decodeSignedHeader, encodeSignedHeader } from '../../src/fleet/signed-header.ts';
import { verifyHeader } from '../../src/fleet/verify-header.ts';
import { AuthorityWorld, DELAY_MS, freshState, hashOf, START_MS } from '../support/fleet-world.ts';

const world = new AuthorityWorld();
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const headers = fc.record({
  network: bytesOf(32),
  authorityId: bytesOf(16),
  serial: fc.maxSafeNat().filter((serial) => serial > 0),
  previous: bytesOf(32),
  bodyHash: bytesOf(32),
  issuedAtMs: fc.maxSafeNat(),
});

/** A refusal with a code, or `undefined` when nothing was thrown; any other error fails the test. */
function refusalOf(call: () => unknown): LatchkeyError | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof LatchkeyError) return error;
    throw error;
  }
}

describe('headers', () => {
  it('read what was written, and write what was read', () => {
    fc.assert(
      fc.property(headers, (header) => {
        expect(decodeHeader(encodeHeader(header))).toEqual(header);
      }),
    );
    fc.assert(
      fc.property(bytesOf(128), (bytes) => {
        if (refusalOf(() => decodeHeader(bytes)) === undefined)
          expect(encodeHeader(decodeHeader(bytes))).toEqual(bytes);
      }),
    );
  });

  it('signed bytes have one spelling', () => {
    const entries = fc.uniqueArray(fc.record({ key: bytesOf(32), signature: bytesOf(64) }), {
      maxLength: 16,
      selector: ({ key }) => Buffer.from(key).toString('hex'),
    });
    fc.assert(
      fc.property(headers, entries, (header, signatures) => {
        const bytes = encodeSignedHeader({ header, signatures });
        expect(encodeSignedHeader(decodeSignedHeader(bytes))).toEqual(bytes);
      }),
    );
  });

  it('with one bit flipped are refused, each bit', () => {
    const good = world.sign(world.header());
    for (let bit = 0; bit < good.length * 8; bit++) {
      const copy = new Uint8Array(good);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(
        refusalOf(() => verifyHeader(copy, world.rules)),
        `bit ${bit}`,
      ).toBeDefined();
    }
  });

  it('of any length and content are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(refusalOf(() => verifyHeader(bytes, world.rules))).toBeDefined();
      }),
    );
  });
});

describe('bodies', () => {
  const body = encodeBody({
    ...emptyRules,
    trustHashes: [{ hash: hashOf('a'), since: START_MS }],
    minimumTcbEvaluationDataNumber: 18,
  });

  it('that are accepted are the only spelling of their content', () => {
    const edits = fc.record({
      at: fc.nat(body.length - 1),
      remove: fc.nat(3),
      insert: fc.stringMatching(/^[ -~]{0,3}$/),
    });
    fc.assert(
      fc.property(edits, ({ at, remove, insert }) => {
        const bytes = new Uint8Array(
          Buffer.concat([body.subarray(0, at), Buffer.from(insert), body.subarray(at + remove)]),
        );
        const read = () => readBody(bytes, world.header({ bodyHash: sha256(bytes) }));
        if (refusalOf(read) === undefined) expect(encodeBody(read())).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('states', () => {
  const names = ['a', 'b', 'c'];
  const manifests: readonly Manifest[] = Array.from({ length: 12 }, (_, index) => {
    const listed = names.filter((_name, position) => ((index * 5 + 3) >> position) & 1);
    const trustHashes: FleetRules['trustHashes'] = listed
      .map((name) => ({ hash: hashOf(name), since: START_MS }))
      .sort((a, b) => (a.hash < b.hash ? -1 : 1));
    return world.issue({ trustHashes }, { serial: 1 + (index % 6), issuedAtMs: START_MS + index });
  });
  const steps = fc.array(
    fc.record({
      manifest: fc.constantFrom(...manifests),
      withBody: fc.boolean(),
      afterMs: fc.nat(DELAY_MS),
    }),
    { maxLength: 20 },
  );

  it('never go back, and never permit what was not there for the whole delay', () => {
    fc.assert(
      fc.property(steps, (all) => {
        let state: FleetState = freshState(world);
        let nowMs = START_MS;
        const listedSince = new Map<string, number>();
        for (const { manifest, withBody, afterMs } of all) {
          nowMs += afterMs;
          const before = state.newest?.serial ?? 0;
          if (refusalOf(() => noteHeader(state, manifest.header.signed, nowMs)) !== undefined) continue;
          state = noteHeader(state, manifest.header.signed, nowMs).state;
          if (withBody) state = takeManifest(state, manifest, nowMs);
          expect(state.newest?.serial ?? 0).toBeGreaterThanOrEqual(before);
          const { newest } = state;
          const listed = newest?.body.kind === 'rules' ? newest.body.trustHashes.map(({ hash }) => hash) : [];
          for (const hash of [...listedSince.keys()]) if (!listed.includes(hash)) listedSince.delete(hash);
          for (const hash of listed) if (!listedSince.has(hash)) listedSince.set(hash, nowMs);
          const time = { nowMs, chainMs: nowMs };
          for (const hash of inForce(state, time, 'own-sight').trustHashes)
            expect(nowMs - (listedSince.get(hash) ?? nowMs)).toBeGreaterThanOrEqual(DELAY_MS);
        }
      }),
    );
  });
});
