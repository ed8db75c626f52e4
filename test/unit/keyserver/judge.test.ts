import { describe, expect, it } from 'vitest';
import { developmentMeasurements } from '../../../mock-tdx/measurements.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import type { FleetInForce } from '../../../src/fleet/in-force.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { listsOf } from '../../support/platform-worlds.ts';
import { newSlotId, ProtocolClient, type Wish } from '../../support/protocol-client.ts';
import { codeOf as thrownCode } from '../../support/thrown.ts';

const DAY_MS = 86_400_000;
/** A TDX module below the newest TCB level: Intel's verdict is OutOfDate. */
const outOfDate = { teeTcbSvn: Uint8Array.of(5, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) };
const otherImage = { mrTd: new Uint8Array(48).fill(7) };
const otherSection = { mrConfigId: new Uint8Array(48).fill(9) };

async function codeOf(client: ProtocolClient, wish: Wish): Promise<unknown> {
  const { status, json } = await client.submit(await client.prepare(wish));
  return status === 200 ? 'granted' : json['code'];
}

/** A client with a confirmed key under a slot id, and the wish to recover it. */
async function withKey(trust: Readonly<Record<string, unknown>> = {}, body: Wish['body'] = {}) {
  const client = new ProtocolClient(keyServerWorld({ trust }));
  const { slotId, token } = await client.obtainLinked(undefined, { body });
  const recover: Wish = { intent: 'recover', slotId, token };
  return { client, recover };
}

describe('TCB', () => {
  it('an out-of-date machine creates nothing, but recovers within the grace', async () => {
    const { client, recover } = await withKey();
    expect(await codeOf(client, { intent: 'create', slotId: newSlotId(), body: outOfDate })).toBe(
      'TCB_STATUS_REFUSED',
    );
    expect(await codeOf(client, { body: outOfDate })).toBe('TCB_STATUS_REFUSED');
    expect(await codeOf(client, { ...recover, body: outOfDate })).toBe('granted');
    await client.world.clock.advance(30 * DAY_MS - 1);
    expect(await codeOf(client, { ...recover, body: outOfDate })).toBe('granted');
    await client.world.clock.advance(1);
    expect(await codeOf(client, { ...recover, body: outOfDate })).toBe('TCB_STATUS_REFUSED');
    expect(await codeOf(client, recover)).toBe('granted');
  });

  it('the grace can be configured away', async () => {
    const { client, recover } = await withKey({ freshness: { tcbGraceMs: 0 } });
    expect(await codeOf(client, { ...recover, body: outOfDate })).toBe('TCB_STATUS_REFUSED');
  });

  it('the grace allows no other defect', async () => {
    const { client, recover } = await withKey();
    const debug = { ...outOfDate, tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) };
    expect(await codeOf(client, { ...recover, body: debug })).toBe('TD_DEBUG');
    expect(await codeOf(client, { ...recover, body: { ...outOfDate, ...otherImage } })).toBe(
      'MEASUREMENT_REFUSED',
    );
    const tokenless = { ...recover, token: undefined, body: outOfDate };
    expect(await codeOf(client, tokenless)).toBe('RECOVERY_PROOF_REQUIRED');
  });

  it.each([
    ['INTEL-SA-01103', 'ADVISORY_REFUSED'],
    ['INTEL-SA-00001', 'granted'],
  ])('a denied advisory %s within the grace: %s', async (advisory, expected) => {
    const { client, recover } = await withKey({ tcb: { deniedAdvisoryIds: [advisory] } });
    expect(await codeOf(client, { ...recover, body: outOfDate })).toBe(expected);
  });
});

describe('measurement', () => {
  const id = measurementId({ ...developmentMeasurements, ...otherImage });

  it('by default accepts only the own image, independent of the chain', async () => {
    const client = new ProtocolClient(keyServerWorld());
    client.world.chain.set({ acceptedMeasurements: [id] });
    expect(await codeOf(client, { body: otherImage })).toBe('MEASUREMENT_REFUSED');
  });

  it('with policy chain also accepts the images that the chain lists now', async () => {
    const client = new ProtocolClient(keyServerWorld({ trust: { measurement: { policy: 'chain' } } }));
    expect(await codeOf(client, { body: otherImage })).toBe('MEASUREMENT_REFUSED');
    client.world.chain.set({ acceptedMeasurements: [id] });
    expect(await codeOf(client, { body: otherImage })).toBe('granted');
    client.world.chain.set({ acceptedMeasurements: [] });
    expect(await codeOf(client, { body: otherImage })).toBe('MEASUREMENT_REFUSED');
    expect(await codeOf(client, {})).toBe('granted');
  });

  it('with policy pinned also accepts the images that the trust section lists', async () => {
    const measurement = { policy: 'pinned', accepted: [toPrefixedHex(id)] };
    const client = new ProtocolClient(keyServerWorld({ trust: { measurement } }));
    expect(await codeOf(client, { body: otherImage })).toBe('granted');
    expect(await codeOf(client, { body: { ...otherImage, rtMr0: otherImage.mrTd } })).toBe(
      'MEASUREMENT_REFUSED',
    );
  });
});

const noFleet: FleetInForce = {
  trustHashes: [],
  measurements: [],
  minimumTcbEvaluationDataNumber: 0,
  endorsed: [],
  revoked: [],
  moves: [],
  rekey: undefined,
};

describe('trust section', () => {
  const listed = { acceptedTrustHashes: [toPrefixedHex(otherSection.mrConfigId)] };

  it('a listed hash is accepted, another hash is not', async () => {
    const client = new ProtocolClient(keyServerWorld({ trust: listed }));
    expect(await codeOf(client, { body: otherSection })).toBe('granted');
    expect(await codeOf(client, { body: { mrConfigId: new Uint8Array(48).fill(8) } })).toBe(
      'TRUST_SECTION_REFUSED',
    );
  });

  it('a section and an image of the fleet manifest are accepted for what this server grants', async () => {
    const trustHashes = [toPrefixedHex(otherSection.mrConfigId)];
    const measurements = [toPrefixedHex(measurementId({ ...developmentMeasurements, ...otherImage }))];
    const withFleet = (granting: Partial<FleetInForce>, asking: Partial<FleetInForce> = {}) =>
      new ProtocolClient(
        keyServerWorld({
          fleet: {
            granting: () => ({ ...noFleet, ...granting }),
            asking: () => ({ ...noFleet, ...asking }),
            enrolling: () => ({ ...noFleet, ...asking }),
          },
        }),
      );
    const body = { ...otherSection, ...otherImage };
    expect(await codeOf(withFleet({ trustHashes, measurements }), { body })).toBe('granted');
    expect(await codeOf(withFleet({ trustHashes }), { body })).toBe('MEASUREMENT_REFUSED');
    expect(await codeOf(withFleet({ measurements }), { body })).toBe('TRUST_SECTION_REFUSED');
    expect(await codeOf(withFleet({}, { trustHashes, measurements }), { body })).toBe('MEASUREMENT_REFUSED');
  });

  it('recover also accepts the section under which the key was made, and no other section', async () => {
    const { client, recover } = await withKey(listed, otherSection);
    expect(await codeOf(client, { ...recover, body: otherSection })).toBe('granted');
    expect(await codeOf(client, recover)).toBe('granted');
    const third = { mrConfigId: new Uint8Array(48).fill(8) };
    expect(await codeOf(client, { ...recover, body: third })).toBe('TRUST_SECTION_REFUSED');
  });
});

describe('a machine that is to hold a key', () => {
  const world = keyServerWorld();
  const verifiedOf = (body: NonNullable<Wish['body']>) =>
    world.evidenceVerifier.verify(parseQuote(world.quote({ reportData: new Uint8Array(64), body })));

  it.each([
    ['the own image', {}, 'none', 'none'],
    ['an out-of-date TCB', outOfDate, 'TCB_STATUS_REFUSED', 'none'],
    ['another image', otherImage, 'MEASUREMENT_REFUSED', 'MEASUREMENT_REFUSED'],
    ['another trust section', otherSection, 'TRUST_SECTION_REFUSED', 'TRUST_SECTION_REFUSED'],
  ])('with %s: new, and with a slot', async (_what, body, whenNew, whenHolder) => {
    const verified = await verifiedOf(body);
    expect(thrownCode(() => world.judge.judgeMachine(verified))).toBe(whenNew);
    expect(thrownCode(() => world.judge.judgeKeyHolder(verified))).toBe(whenHolder);
  });
});

describe('a machine that comes back by another way than a key request', () => {
  const judgedBy = async (
    options: Parameters<typeof keyServerWorld>[0],
    body: NonNullable<Wish['body']> = {},
  ) => {
    const world = keyServerWorld(options);
    const quote = parseQuote(world.quote({ reportData: new Uint8Array(64), body }));
    const verified = await world.evidenceVerifier.verify(quote);
    return { verified, world, judge: () => world.judge.judgeReturn(verified, world.account) };
  };

  it('is judged by the rules of recover about machines', async () => {
    const { verified, world, judge } = await judgedBy({}, outOfDate);
    expect(judge()).toMatchObject({ account: world.account, ppid: verified.platform.ppid });
  });

  it.each([
    ['another image', {}, otherImage, 'MEASUREMENT_REFUSED'],
    ['another trust section', {}, otherSection, 'TRUST_SECTION_REFUSED'],
    [
      'a revoked platform',
      { platformLists: () => listsOf(keyServerWorld().pki, { revoked: [0] }) },
      {},
      'PLATFORM_REVOKED',
    ],
    ['too many requests', { platformRate: { burst: 0, perSecond: 1 } }, {}, 'PLATFORM_LIMIT'],
  ] as const)('is refused with %s', async (_what, options, body, code) => {
    expect(thrownCode((await judgedBy(options, body)).judge)).toBe(code);
  });
});

describe('what would be accepted now', () => {
  const section = new Uint8Array(48).fill(9);
  const image = new Uint8Array(32).fill(7);
  const refusals = (
    fleet: Partial<FleetInForce> | undefined,
    asked: Parameters<ReturnType<typeof keyServerWorld>['judge']['refusalsOf']>[0],
  ) => {
    const inForce = () => ({ ...noFleet, ...fleet });
    const nothing = () => noFleet;
    const { judge } = keyServerWorld(
      fleet === undefined ? {} : { fleet: { granting: inForce, asking: nothing, enrolling: nothing } },
    );
    const { trustHash, measurement } = judge.refusalsOf(asked);
    return [trustHash?.code, measurement?.code];
  };

  it('is told of what was asked for, and of nothing else', () => {
    expect(refusals(undefined, {})).toEqual([undefined, undefined]);
    expect(refusals(undefined, { trustHash: section })).toEqual(['TRUST_SECTION_REFUSED', undefined]);
    expect(refusals(undefined, { measurement: image })).toEqual([undefined, 'MEASUREMENT_REFUSED']);
  });

  it('is what the fleet manifest grants, not what this server asks for', () => {
    const asked = { trustHash: section, measurement: image };
    const granted = { trustHashes: [toPrefixedHex(section)], measurements: [toPrefixedHex(image)] };
    expect(refusals(granted, asked)).toEqual([undefined, undefined]);
    expect(refusals({}, asked)).toEqual(['TRUST_SECTION_REFUSED', 'MEASUREMENT_REFUSED']);
  });

  it('is not answered when it cannot be judged', () => {
    const broken = () => {
      throw new Error('the manifest cannot be read');
    };
    const { judge } = keyServerWorld({
      fleet: {
        granting: () => ({ ...noFleet, trustHashes: Object.assign([], { includes: broken }) }),
        asking: broken,
        enrolling: broken,
      },
    });
    expect(() => judge.refusalsOf({ trustHash: section })).toThrow('the manifest cannot be read');
  });
});

describe('attestation', () => {
  it('binds account, key, instance and block, is made once per interval, and its quote passes this trust section', async () => {
    const world = keyServerWorld();
    const first = await world.send('GET', '/attestation');
    world.chain.set({});
    await world.clock.advance(59_999);
    expect((await world.send('GET', '/attestation')).text).toBe(first.text);
    await world.clock.advance(1);
    const next = await world.send('GET', '/attestation');
    expect(next.json['quote']).not.toBe(first.json['quote']);
    expect(next.json['finalized']).toMatchObject({ number: 2 });
  });
});
