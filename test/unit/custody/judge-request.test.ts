import { describe, expect, it } from 'vitest';
import { assembleCollateral } from '../../../mock-tdx/collateral/collateral-parts.ts';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../../mock-tdx/measurements.ts';
import { BlockHash } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { makeAnswer, openOwnPart } from '../../../src/custody/answer.ts';
import { makeCustodianKey } from '../../../src/custody/custodian-key.ts';
import { describeRequest } from '../../../src/custody/describe-request.ts';
import { entryOf, journalLine, journalWarnings, readJournal } from '../../../src/custody/journal.ts';
import { judgePlatform } from '../../../src/custody/judge-platform.ts';
import {
  type CustodianKnowledge,
  JudgedCustodyRequest,
  judgeRequest,
} from '../../../src/custody/judge-request.ts';
import { OneTimeKey, PendingRequest } from '../../../src/custody/pending-request.ts';
import {
  type CustodyQuestion,
  type CustodyRequest,
  custodyReportData,
  decodeRequest,
  encodeRequest,
} from '../../../src/custody/request.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { custodySetOf } from '../../../src/trust/custody-set.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection, type TrustSection } from '../../../src/trust/trust-section.ts';
import { START_MS } from '../../support/collateral-world.ts';
import { custodians, custodyOf } from '../../support/custodians.ts';
import { enrol, fileOf, identity } from '../../support/keyslot-fixtures.ts';
import { recoveryOf } from '../../support/tcb-recovery.ts';
import { codeOf } from '../../support/thrown.ts';

const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(9) });
const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) });
const [alice = expect.fail(), bob = expect.fail(), carol = expect.fail()] = custodians;
const genesisHash = `0x${'00'.repeat(32)}`;
const checkpoint = {
  blockNumber: 100,
  blockHash: `0x${'01'.repeat(32)}`,
  authoritySetId: 1,
  authorities: [`0x${'02'.repeat(32)}`],
};
const trust = parseTrustSection({ chain: { genesisHash, checkpoint }, custody: custodyOf(2) });
const platform = new Uint8Array(16).fill(7);
const made = await enrol({ t: 2, n: 3 }, { custody: { set: custodySetOf(trust), platform } });
const file = fileOf(made);
const [generation] = file.generations;
const { custody = expect.fail() } = generation;

const question = (key: OneTimeKey, change: Partial<CustodyQuestion> = {}): CustodyQuestion => ({
  ...identity,
  generation: 1,
  threshold: custody.threshold,
  set: custody.set,
  parts: custody.parts,
  keyslots: new Uint8Array(32).fill(1),
  oneTimeKey: key.publicKey,
  finalized: { number: 120, hash: BlockHash.of(new Uint8Array(32).fill(3)) },
  report: {
    madeAtMs: START_MS - 60_000,
    blockAtMs: START_MS - 90_000,
    reason: 'locked (0 of 2)',
    servers: [],
    sequence: 50,
    changedAtMs: START_MS - 1000,
  },
  ...change,
});

interface Machine {
  readonly section?: TrustSection;
  readonly body?: object;
  readonly platform?: number;
}

function requestOf(
  asked: CustodyQuestion,
  { section = trust, body = {}, platform: machine = 1 }: Machine = {},
) {
  const quote = pki.quote({
    reportData: custodyReportData(asked),
    platform: machine,
    body: { ...developmentMeasurements, mrConfigId: trustHash(section), ...body },
  });
  return { ...asked, quote };
}

const knowledge: CustodianKnowledge = {
  trust,
  measurements: [measurementId(developmentMeasurements)],
  verifier,
  collateral: pki.collateral({ nowMs: START_MS }),
  nowMs: START_MS,
};
const key = new OneTimeKey(systemRandom);
const genuine = requestOf(question(key));
const judge = (request: CustodyRequest, change: Partial<CustodianKnowledge> = {}) =>
  judgeRequest(decodeRequest(encodeRequest(request)), { ...knowledge, ...change });

describe('a request that a custodian judges', () => {
  it('passes as it was made, without a warning', () => {
    expect(judge(genuine).warnings).toEqual([]);
  });

  const flipped = (bytes: Uint8Array, at = 0): Uint8Array =>
    Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte));
  const [first = expect.fail(), ...rest] = custody.parts;

  it.each<[string, Partial<CustodyRequest>]>([
    ['account', { account: BlockHash.of(new Uint8Array(32)) as Uint8Array as typeof identity.account }],
    ['store', { storeId: flipped(identity.storeId) }],
    ['keyslot file', { keyslots: new Uint8Array(32) }],
    ['generation', { generation: 2 }],
    ['threshold', { threshold: 3 }],
    ['part', { parts: [{ ...first, sealed: flipped(first.sealed) }, ...rest] }],
    ['digest of a part', { parts: [{ ...first, digest: flipped(first.digest) }, ...rest] }],
    ['set of custodians', { set: new Uint8Array(32) }],
    ['one-time key', { oneTimeKey: new OneTimeKey(systemRandom).publicKey }],
    ['number of the block', { finalized: { ...genuine.finalized, number: 121 } }],
    ['hash of the block', { finalized: { ...genuine.finalized, hash: BlockHash.of(new Uint8Array(32)) } }],
    ['reason', { report: { ...genuine.report, reason: 'all is well' } }],
    ['sequence of the disk', { report: { ...genuine.report, sequence: 51 } }],
    ['date', { report: { ...genuine.report, madeAtMs: START_MS } }],
    ['date of the block', { report: { ...genuine.report, blockAtMs: START_MS } }],
  ])('is refused with another %s', (_what, change) => {
    expect(codeOf(() => judge({ ...genuine, ...change }))).toBe('REPORT_DATA_MISMATCH');
  });

  it.each<[string, CustodyRequest, Partial<CustodianKnowledge>, string]>([
    ['a changed quote', { ...genuine, quote: flipped(genuine.quote, 60) }, {}, 'QUOTE_SIGNATURE_INVALID'],
    [
      'another trust section',
      requestOf(question(key), { section: parseTrustSection({ chain: { genesisHash } }) }),
      {},
      'TRUST_SECTION_REFUSED',
    ],
    ['an unknown image', genuine, { measurements: [new Uint8Array(32)] }, 'MEASUREMENT_REFUSED'],
    ['no known image', genuine, { measurements: [] }, 'MEASUREMENT_REFUSED'],
    [
      'a block before the checkpoint',
      requestOf(question(key, { finalized: { ...genuine.finalized, number: 99 } })),
      {},
      'CUSTODY_REQUEST_OLD',
    ],
    [
      'a machine in debug mode',
      requestOf(question(key), { body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } }),
      {},
      'TD_DEBUG',
    ],
    ['a root that is not Intel’s', genuine, { verifier: new QuoteVerifier() }, 'ROOT_NOT_TRUSTED'],
    ['collateral that has run out', genuine, { nowMs: START_MS + 400 * 86_400_000 }, 'CRL_EXPIRED'],
  ])('is refused with %s', (_what, request, change, code) => {
    expect(codeOf(() => judge(request, change))).toBe(code);
  });

  describe('of a platform that is out of date', () => {
    const DAY_MS = 86_400_000;
    const collateralSince = (sinceMs: number, advisoryIDs: readonly string[] = []) => {
      const parts = pki.collateralParts({ nowMs: START_MS });
      const recovery = recoveryOf(parts.tcbInfo.content, sinceMs);
      const tcbLevels = recovery.tcbLevels.map((level) =>
        level.tcbStatus === 'OutOfDate' ? { ...level, advisoryIDs } : level,
      );
      const content = { ...recovery, tcbLevels };
      return assembleCollateral({ ...parts, tcbInfo: { ...parts.tcbInfo, content } });
    };

    it('is answered with a warning while the grace lasts', () => {
      expect(judge(genuine, { collateral: collateralSince(START_MS - DAY_MS) }).warnings).toEqual([
        expect.stringContaining('OutOfDate'),
      ]);
    });

    it('is refused after it', () => {
      const late = { collateral: collateralSince(START_MS - trust.freshness.tcbGraceMs - DAY_MS) };
      expect(codeOf(() => judge(genuine, late))).toBe('TCB_STATUS_REFUSED');
    });

    it('is refused under an advisory that the trust section denies', () => {
      const section = parseTrustSection({
        chain: { genesisHash, checkpoint },
        custody: custodyOf(2),
        tcb: { deniedAdvisoryIds: ['INTEL-SA-00001'] },
      });
      const request = requestOf(question(key), { section });
      const under = (id: string) =>
        judge(request, { trust: section, collateral: collateralSince(START_MS - DAY_MS, [id]) });
      expect(under('INTEL-SA-00002').warnings).toHaveLength(1);
      expect(codeOf(() => under('INTEL-SA-00001'))).toBe('ADVISORY_REFUSED');
    });

    it('is refused in debug mode all the same', () => {
      const debug = requestOf(question(key), {
        body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) },
      });
      const collateral = collateralSince(START_MS - DAY_MS);
      expect(codeOf(() => judge(debug, { collateral }))).toBe('TD_DEBUG');
    });
  });

  it('is refused with text that a host could make look like a line of the tool', () => {
    const forged = { ...first, custodian: 'alice, 2 of 3 are needed' };
    expect(codeOf(() => judge({ ...genuine, parts: [forged, ...rest] }))).toBe('CUSTODY_BLOCK_MALFORMED');
  });

  it('is refused with a date that no calendar has', () => {
    const report = { ...genuine.report, changedAtMs: 8_640_000_000_000_001 };
    expect(codeOf(() => judge(requestOf(question(key, { report }))))).toBe('CUSTODY_BLOCK_MALFORMED');
  });

  it('takes images that the section pins, and those that the custodian names besides', () => {
    const other = new Uint8Array(32).fill(8);
    const own = measurementId(developmentMeasurements);
    expect(judge(genuine, { measurements: [other, own] }).measurement).toEqual(own);
    const accepted = [toPrefixedHex(own)];
    const section = parseTrustSection({
      chain: { genesisHash, checkpoint },
      custody: custodyOf(2),
      measurement: { policy: 'pinned', accepted },
    });
    const request = requestOf(question(key), { section });
    expect(judge(request, { trust: section, measurements: [] }).measurement).toEqual(own);
    expect(judge(request, { trust: section, measurements: [other] }).measurement).toEqual(own);
  });

  it('proves nothing when it is made by hand', () => {
    const forged = Object.assign(Object.create(JudgedCustodyRequest.prototype), { request: genuine });
    const own = openOwnPart(genuine, alice.seed);
    expect(() => makeAnswer(forged, own)).toThrow(TypeError);
  });

  it('warns when the parts are for another set than that of the trust section', () => {
    const section = parseTrustSection({ chain: { genesisHash, checkpoint }, custody: custodyOf(3) });
    const request = requestOf(question(key), { section });
    expect(judge(request, { trust: section }).warnings).toHaveLength(1);
  });

  it('tells its own part, and warns of another platform than the one that made it', () => {
    const judged = judge(genuine);
    const own = openOwnPart(judged.request, bob.seed);
    expect(own).toMatchObject({ index: 1, custodian: 'bob' });
    expect(judgePlatform(judged, own.part)).toHaveLength(1);
    expect(describeRequest(judged, own).join('\n')).toContain('locked (0 of 2)');
    // By the name under which lists, doctor and refusals know it.
    expect(describeRequest(judged, own)[1]).toMatch(/^platform +0x[0-9a-f]{64} \(SHA-256 of the PPID; TCB /);
  });

  it('opens for nobody else, and not with a digest that is not that of the part', () => {
    const stranger = makeCustodianKey(systemRandom);
    expect(codeOf(() => openOwnPart(genuine, stranger.seed))).toBe('CUSTODY_PART_WRONG');
    const parts = [{ ...first, digest: flipped(first.digest) }, ...rest];
    expect(codeOf(() => openOwnPart({ ...genuine, parts }, alice.seed))).toBe('CUSTODY_PART_WRONG');
    expect(codeOf(() => openOwnPart({ ...genuine, generation: 2 }, alice.seed))).toBe('CUSTODY_PART_WRONG');
  });
});

describe('answers at the node that asked', () => {
  const answerOf = ({ seed }: typeof alice, request = genuine): string => {
    const judged = judge(request);
    return makeAnswer(judged, openOwnPart(judged.request, seed));
  };
  const pendingOf = (oneTime = key) => new PendingRequest(question(oneTime), oneTime, file, generation);

  it('two of three give the store key, whichever', () => {
    for (const pair of [
      [alice, bob],
      [alice, carol],
      [carol, bob],
    ] as const) {
      const pending = pendingOf();
      for (const custodian of pair) pending.offer(answerOf(custodian));
      expect(pending.combine()?.equals(made.storeKey)).toBe(true);
    }
  });

  it('one gives nothing, however often', () => {
    const pending = pendingOf();
    pending.offer(answerOf(alice));
    pending.offer(answerOf(alice));
    expect(pending.combine()).toBeUndefined();
    expect(pending.answered).toEqual(['alice']);
  });

  it('a wrong part is named, and the others still count', () => {
    const pending = pendingOf();
    const judged = judge(genuine);
    const own = openOwnPart(judged.request, alice.seed);
    const wrong = makeAnswer(judged, { ...own, part: flipped(own.part, 3) });
    const swapped = makeAnswer(judged, { ...own, index: 1 });
    expect(codeOf(() => pending.offer(wrong))).toBe('CUSTODY_ANSWER_WRONG');
    expect(codeOf(() => pending.offer(swapped))).toBe('CUSTODY_ANSWER_WRONG');
    expect(codeOf(() => pending.offer(makeAnswer(judged, { ...own, index: 9 })))).toBe(
      'CUSTODY_ANSWER_WRONG',
    );
    pending.offer(answerOf(bob));
    pending.offer(answerOf(carol));
    expect(pending.combine()?.equals(made.storeKey)).toBe(true);
  });

  it('an answer to another request does not count', () => {
    const other = new OneTimeKey(systemRandom);
    const answer = answerOf(alice, requestOf(question(other)));
    expect(codeOf(() => pendingOf().offer(answer))).toBe('CUSTODY_REQUEST_UNKNOWN');
  });

  it('a file with the same share twice is refused, and is no fault of the node', () => {
    const own = openOwnPart(genuine, alice.seed);
    const [part = expect.fail(), ...others] = custody.parts;
    const forged = question(key, {
      parts: [part, ...others.map((one) => ({ ...one, digest: part.digest }))],
    });
    const pending = new PendingRequest(forged, key, file, generation);
    const judged = judge(requestOf(forged));
    for (const index of [0, 1]) pending.offer(makeAnswer(judged, { ...own, index }));
    expect(codeOf(() => pending.combine())).toBe('KEYSLOT_FILE_MALFORMED');
  });

  it('parts that give another key than that of the generation are refused', async () => {
    const forged = await enrol({ t: 2, n: 3 }, { custody: { set: custodySetOf(trust), platform } });
    const pending = new PendingRequest(question(key), key, file, {
      ...generation,
      mac: forged.generation.mac,
    });
    pending.offer(answerOf(alice));
    pending.offer(answerOf(bob));
    expect(codeOf(() => pending.combine())).toBe('KEYSLOT_FILE_MALFORMED');
  });

  const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
    Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte));
});

describe('text blocks', () => {
  const text = encodeRequest(genuine);

  it('survive quoting, other text around them, and other line ends', () => {
    const mailed = `Hello\n\n${text.replaceAll(/^/gm, '> ').replaceAll('\n', '\r\n')}\nbye`;
    expect(custodyReportData(decodeRequest(mailed))).toEqual(custodyReportData(genuine));
  });

  it.each([
    ['nothing', ''],
    ['two of them', text + text],
    ['no last line', text.replace('-----END', '----END')],
    ['another kind', text.replaceAll('REQUEST', 'ANSWER')],
    ['a character of another alphabet', text.replace('\ney', '\n*y')],
    ['an unknown field', encodeWith({ extra: 1 })],
    ['a later version', encodeWith({ version: 2 })],
    ['a short key', encodeWith({ oneTimeKey: '0x00' })],
  ])('are refused with %s', (_what, damaged) => {
    expect(codeOf(() => decodeRequest(damaged))).toBe('CUSTODY_BLOCK_MALFORMED');
  });

  function encodeWith(change: object): string {
    const lines = encodeRequest(genuine).trimEnd().split('\n');
    const json = JSON.parse(Buffer.from(lines.slice(1, -1).join(''), 'base64').toString('utf8'));
    const changed = Buffer.from(JSON.stringify({ ...json, ...change })).toString('base64');
    return [lines[0], changed, lines.at(-1)].join('\n');
  }
});

describe('the journal', () => {
  const entry = entryOf(judge(genuine), START_MS);

  it('warns when another process of the same machine asks: two may run from one disk', () => {
    const again = { ...entry, request: '0x00', block: 130 };
    expect(journalWarnings([entry], again)).toEqual([expect.stringContaining('another process')]);
    expect(journalWarnings([entry, again], entry)).toHaveLength(2);
    expect(journalWarnings([entry, again], { ...again, request: '0x01' })).toHaveLength(1);
  });

  it('warns of an account that was never answered, and of nothing when the same request comes again', () => {
    expect(journalWarnings([], entry)).toHaveLength(1);
    const read = readJournal(journalLine(entry) + journalLine(entry));
    expect(read).toEqual([entry, entry]);
    expect(journalWarnings(read, entry)).toEqual([]);
  });

  it.each([
    ['a second machine', { platform: '00' }],
    ['another store', { storeId: '0x00' }],
    ['a lower generation', { generation: 0 }],
    ['an older record', { sequence: 49 }],
    ['an older date', { changedAtMs: 1 }],
    ['an older block', { block: 101 }],
  ])('warns of %s', (_what, change) => {
    expect(journalWarnings([entry], { ...entry, ...change })).toHaveLength(1);
  });

  it('is not passed over when it is damaged', () => {
    expect(codeOf(() => readJournal(`${journalLine(entry)}nonsense\n`))).toBe('CUSTODY_BLOCK_MALFORMED');
  });
});
