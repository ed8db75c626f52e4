import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../../mock-tdx/measurements.ts';
import { BlockHash } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { makeAnswer, openOwnPart } from '../../../src/custody/answer.ts';
import { describeRequest } from '../../../src/custody/describe-request.ts';
import { judgePlatform } from '../../../src/custody/judge-platform.ts';
import { type CustodianKnowledge, judgeRequest } from '../../../src/custody/judge-request.ts';
import { OneTimeKey } from '../../../src/custody/pending-request.ts';
import { custodyReportData } from '../../../src/custody/request.ts';
import type { FleetInForce } from '../../../src/fleet/in-force.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { custodySetOf } from '../../../src/trust/custody-set.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { platformHash } from '../../../src/trust/platform-lists.ts';
import { trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection, type TrustSection } from '../../../src/trust/trust-section.ts';
import { START_MS } from '../../support/collateral-world.ts';
import { custodians, custodyOf } from '../../support/custodians.ts';
import { AuthorityWorld } from '../../support/fleet-world.ts';
import { enrol, fileOf, identity } from '../../support/keyslot-fixtures.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(9) });
const [alice = expect.fail()] = custodians;
const { authority } = new AuthorityWorld();
const sectionWith = (platforms: object): TrustSection =>
  parseTrustSection({
    chain: { genesisHash: `0x${'00'.repeat(32)}` },
    custody: custodyOf(2),
    authority,
    platforms,
  });
const bound = sectionWith({ recover: 'bound' });
const home = pki.platform(1).facts.ppid;
const elsewhere = pki.platform(2).facts.ppid;
const nameOf = (ppid: Uint8Array): string => toPrefixedHex(platformHash(ppid));

const custodyMade = await enrol({ t: 2, n: 3 }, { custody: { set: custodySetOf(bound), platform: home } });
const [{ custody = expect.fail() }] = fileOf(custodyMade).generations;

/** A request of a machine on a platform, which has the image and section that are given. */
function requestOf(platform: number, { section = bound, body = {} } = {}) {
  const asked = {
    ...identity,
    generation: 1,
    threshold: custody.threshold,
    set: custody.set,
    parts: custody.parts,
    keyslots: new Uint8Array(32),
    oneTimeKey: new OneTimeKey(systemRandom).publicKey,
    finalized: { number: 1, hash: BlockHash.of(new Uint8Array(32)) },
    report: { madeAtMs: START_MS, reason: 'locked', servers: [] },
  };
  const quote = pki.quote({
    reportData: custodyReportData(asked),
    platform,
    body: { ...developmentMeasurements, mrConfigId: trustHash(section), ...body },
  });
  return { ...asked, quote };
}

const inForce = (change: Partial<FleetInForce> = {}): FleetInForce => ({
  trustHashes: [],
  measurements: [],
  minimumTcbEvaluationDataNumber: 0,
  endorsed: [],
  revoked: [],
  moves: [],
  rekey: undefined,
  ...change,
});
const manifestWith = (change: Partial<FleetInForce> = {}) => ({
  serial: 7,
  issuedAtMs: START_MS,
  isDisputed: false,
  inForce: inForce(change),
});

const judge = (request: ReturnType<typeof requestOf>, change: Partial<CustodianKnowledge> = {}) =>
  judgeRequest(request, {
    trust: bound,
    measurements: [measurementId(developmentMeasurements)],
    verifier: new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) }),
    collateral: pki.collateral({ nowMs: START_MS }),
    nowMs: START_MS,
    manifest: manifestWith(),
    ...change,
  });

/** Everything between the request and the answer. */
function answer(request: ReturnType<typeof requestOf>, change: Partial<CustodianKnowledge> = {}) {
  const judged = judge(request, change);
  const own = openOwnPart(judged.request, alice.seed);
  const warnings = [...judged.warnings, ...judgePlatform(judged, own.part)];
  makeAnswer(judged, own);
  return { warnings, text: describeRequest(judged, own).join('\n') };
}

const move = { account: encodeSs58(identity.account), from: nameOf(home), to: nameOf(elsewhere) };
const endorse = (ppid: Uint8Array) => ({
  endorsed: [{ platform: nameOf(ppid), owner: 'Example', place: 'rack 1', since: START_MS }],
});

describe('a custodian with a copy of the fleet manifest', () => {
  it('answers the machine that made the parts, and shows which manifest was used', () => {
    const { warnings, text } = answer(requestOf(1));
    expect(warnings).toEqual([]);
    expect(text).toContain('serial 7');
  });

  it('refuses a revoked platform, also the own one of the store, and the custodian cannot overrule it', () => {
    const manifest = manifestWith({ revoked: [nameOf(home)] });
    expect(codeOf(() => judge(requestOf(1), { manifest }))).toBe('PLATFORM_REVOKED');
    expect(codeOf(() => judge(requestOf(1), { manifest, acceptedPlatform: platformHash(home) }))).toBe(
      'PLATFORM_REVOKED',
    );
  });

  it('accepts the images and trust sections that the manifest accepts, and no others', () => {
    const other = sectionWith({ recover: 'any' });
    const body = { rtMr2: new Uint8Array(48).fill(9) };
    const id = toPrefixedHex(measurementId({ ...developmentMeasurements, ...body }));
    expect(codeOf(() => judge(requestOf(1, { section: other })))).toBe('TRUST_SECTION_REFUSED');
    expect(codeOf(() => judge(requestOf(1, { body })))).toBe('MEASUREMENT_REFUSED');
    const manifest = manifestWith({ trustHashes: [toPrefixedHex(trustHash(other))], measurements: [id] });
    expect(judge(requestOf(1, { section: other, body }), { manifest }).warnings).toEqual([]);
  });

  it('asks for the TCB info that the manifest asks for', () => {
    const manifest = manifestWith({ minimumTcbEvaluationDataNumber: 1_000_000 });
    expect(codeOf(() => judge(requestOf(1), { manifest }))).toBe('TCB_EVALUATION_TOO_OLD');
  });

  it('says so when two manifests of one serial are there, and when none is', () => {
    const disputed = { ...manifestWith(), isDisputed: true };
    expect(judge(requestOf(1), { manifest: disputed }).warnings).toEqual([
      expect.stringContaining('two manifests'),
    ]);
    expect(judge(requestOf(1), { manifest: undefined }).warnings).toEqual([
      expect.stringContaining('--manifest'),
    ]);
  });
});

describe('trust.platforms at a custodian', () => {
  it('bound: another platform is refused with what allows it and who signs it; a move allows it', () => {
    const refusal = thrownBy(() => answer(requestOf(2)));
    expect(refusal).toMatchObject({
      code: 'PLATFORM_REFUSED',
      hint: expect.stringMatching(
        /a move of .* trust\.authority .*latchkey fleet draft.*--accept-platform 0x/s,
      ),
    });
    const { warnings } = answer(requestOf(2), { manifest: manifestWith({ moves: [move] }) });
    expect(warnings).toEqual([expect.stringContaining('manifest allows this move')]);
    expect(
      codeOf(() => answer(requestOf(2), { manifest: manifestWith({ moves: [{ ...move, to: move.from }] }) })),
    ).toBe('PLATFORM_REFUSED');
  });

  it('bound: the custodian accepts one other platform by its name, and is warned', () => {
    const accepted = answer(requestOf(2), { acceptedPlatform: platformHash(elsewhere) });
    expect(accepted.warnings).toEqual([expect.stringContaining('--accept-platform')]);
    expect(codeOf(() => answer(requestOf(2), { acceptedPlatform: platformHash(home) }))).toBe(
      'PLATFORM_REFUSED',
    );
  });

  it('endorsed: only platforms of the list, whatever the parts say', () => {
    const section = sectionWith({ recover: 'endorsed' });
    const knowledge = { trust: section, acceptedPlatform: platformHash(home) };
    const asking = requestOf(1, { section });
    expect(codeOf(() => answer(asking, knowledge))).toBe('PLATFORM_NOT_ENDORSED');
    expect(codeOf(() => answer(asking, { ...knowledge, manifest: undefined }))).toBe('PLATFORM_NOT_ENDORSED');
    answer(asking, { ...knowledge, manifest: manifestWith(endorse(home)) });
    const moved = answer(requestOf(2, { section }), {
      trust: section,
      manifest: manifestWith(endorse(elsewhere)),
    });
    expect(moved.warnings).toEqual([expect.stringContaining('another platform')]);
  });

  it('an answer cannot be made without the judgement', () => {
    const judged = judge(requestOf(2));
    const own = openOwnPart(judged.request, alice.seed);
    expect(codeOf(() => makeAnswer(judged, own))).toBe('PLATFORM_REFUSED');
  });
});
