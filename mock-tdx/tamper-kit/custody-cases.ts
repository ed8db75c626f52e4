import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { createDevelopmentPki } from '../development-pki.ts';
import { block, type CustodyBench, type RequestFields, type RequestParts } from './custody-bench.ts';

/** What the custodian of a case has, beside the trust section of the bench. */
export interface CustodianWords {
  readonly platforms?: Readonly<Record<string, string>>;
  readonly revoked?: readonly string[];
  readonly endorsed?: readonly string[];
  readonly moves?: readonly { readonly account: string; readonly from: string; readonly to: string }[];
  /** The custodian's clock, in milliseconds after the request was made. */
  readonly laterMs?: number;
}

/** A request with one defect, or none, and what a custodian must say. */
export interface CustodyCase {
  /** Stable, kebab-case, unique. */
  readonly name: string;
  readonly about: string;
  readonly make: (bench: CustodyBench) => string;
  readonly words: (bench: CustodyBench) => CustodianWords;
  /** A code, or `answered`. */
  readonly expected: string;
}

type Make = (bench: CustodyBench) => RequestParts;

const custodyCase = (
  name: string,
  about: string,
  expected: string,
  parts: Make = () => ({}),
  words: CustodyCase['words'] = () => ({}),
): CustodyCase => ({ name, about, expected, words, make: (bench) => bench.request(parts(bench)) });

const DAY_MS = 86_400_000;
const PPID_OF_OTHER = 9;
const nameOf = (ppid: Uint8Array): string => toPrefixedHex(sha256(ppid));
const otherPpid = (bench: CustodyBench): Uint8Array => bench.pki.platform(PPID_OF_OTHER).facts.ppid;
/** A genuine machine on another platform. */
const elsewhere: Make = () => ({ quote: { platform: PPID_OF_OTHER, facts: {} } });
const homeOf = (bench: CustodyBench): string => nameOf(bench.home);

const fill = (length: number): Uint8Array => new Uint8Array(length).fill(0xee);
const MISMATCH = 'REPORT_DATA_MISMATCH';
const changedAfter = (name: string, about: string, sent: (good: RequestFields) => Partial<RequestFields>) =>
  custodyCase(`changed-${name}`, about, MISMATCH, ({ good }) => ({ sent: sent(good) }));

/** Whatever the quote is over cannot be changed on the way, or be taken from another request. */
const boundCases: readonly CustodyCase[] = [
  changedAfter('store', 'Another store id than the quote is over.', () => ({ storeId: fill(16) })),
  changedAfter('keyslots', 'Another keyslot file.', () => ({ keyslots: fill(32) })),
  changedAfter('generation', 'Another generation of slots.', () => ({ generation: 99 })),
  changedAfter('threshold', 'A lower threshold would look like fewer custodians.', () => ({ threshold: 3 })),
  changedAfter('set', 'Another set of custodians.', () => ({ set: fill(32) })),
  changedAfter('one-time-key', 'A key of the thief’s own: the answer would open for him.', () => ({
    oneTimeKey: fill(1216),
  })),
  changedAfter('block', 'A later block, so that the request looks new.', () => ({ block: 999 })),
  changedAfter('block-hash', 'Another block of that number.', () => ({ blockHash: fill(32) })),
  changedAfter('reason', 'Another reason.', ({ report }) => ({
    report: { ...report, reason: 'all is well' },
  })),
  changedAfter('date', 'A later date, so that an old request looks new.', ({ report }) => ({
    report: { ...report, madeAtMs: Number(report['madeAtMs']) + 1 },
  })),
  changedAfter('block-date', 'A later date of the block.', ({ report }) => ({
    report: { ...report, blockAtMs: Number(report['blockAtMs']) + 1 },
  })),
  changedAfter('sequence', 'A record number that the node did not state.', ({ report }) => ({
    report: { ...report, sequence: 1_000_000 },
  })),
  changedAfter('parts', 'Parts in another order.', ({ parts }) => ({
    parts: parts.map((part, index) => ({
      ...part,
      sealed: parts[(index + 1) % parts.length]?.sealed ?? fill(1),
    })),
  })),
  changedAfter('digest', 'A digest of the thief’s choice.', ({ parts }) => ({
    parts: parts.map((part, index) => (index === 0 ? { ...part, digest: fill(32) } : part)),
  })),
  custodyCase(
    'other-label',
    'A quote over the same bytes under the label of a key request.',
    MISMATCH,
    () => ({
      label: 'latchkey/v1/request',
    }),
  ),
  custodyCase('label-of-next-version', 'A quote under the label of another version.', MISMATCH, () => ({
    label: 'latchkey/v2/custody/request',
  })),
  custodyCase('one-byte-more', 'A quote over one byte more.', MISMATCH, () => ({
    alter: (bytes) => concatBytes(bytes, Uint8Array.of(0)),
  })),
  custodyCase('report-data-zero', 'A quote over nothing.', MISMATCH, (bench) => ({
    quoteBytes: () => bench.pki.quote({ reportData: new Uint8Array(64) }),
  })),
];

const foreignPki = createDevelopmentPki({ seed: sha256(Uint8Array.of(1)) });

/** A machine that the fleet does not know. */
const machineCases: readonly CustodyCase[] = [
  custodyCase('another-pki', 'A machine whose root is not trusted.', 'ROOT_NOT_TRUSTED', () => ({
    pki: foreignPki,
  })),
  custodyCase('signature', 'One bit of the quote differs.', 'QUOTE_SIGNATURE_INVALID', () => ({
    quoteBytes: (quote) => quote.map((byte, at) => (at === 60 ? byte ^ 1 : byte)),
  })),
  custodyCase('quote-short', 'The quote ends early.', 'QUOTE_TRUNCATED', () => ({
    quoteBytes: (quote) => quote.subarray(0, 700),
  })),
  custodyCase('debug', 'A TD in debug mode: its host reads its memory.', 'TD_DEBUG', () => ({
    body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) },
  })),
  custodyCase(
    'other-section',
    'Another trust section, whose custodians are the thief’s.',
    'TRUST_SECTION_REFUSED',
    () => ({
      body: { mrConfigId: fill(48) },
    }),
  ),
  custodyCase('no-section', 'No trust section at all.', 'TRUST_SECTION_REFUSED', () => ({
    body: { mrConfigId: new Uint8Array(48) },
  })),
  custodyCase('other-image', 'Another image: it prints the store key.', 'MEASUREMENT_REFUSED', () => ({
    body: { rtMr2: fill(48) },
  })),
  custodyCase(
    'collateral-run-out',
    'Judged after the collateral has run out.',
    'CRL_EXPIRED',
    undefined,
    () => ({
      laterMs: 400 * DAY_MS,
    }),
  ),
];

const TOO_OLD = 'CUSTODY_REQUEST_OLD';
const dated = (bench: CustodyBench, report: Readonly<Record<string, unknown>>): RequestParts => ({
  asked: { report: { ...bench.good.report, ...report } },
});

/** A request of another time. */
const timeCases: readonly CustodyCase[] = [
  custodyCase('week-old', 'Made more than a week ago.', TOO_OLD, (bench) =>
    dated(bench, { madeAtMs: bench.nowMs - 7 * DAY_MS - 1, blockAtMs: bench.nowMs - 8 * DAY_MS }),
  ),
  custodyCase('before-checkpoint', 'Its block is before the checkpoint.', TOO_OLD, () => ({
    asked: { block: 99 },
  })),
  custodyCase(
    'from-the-future',
    'The host has set the clock of the node forward.',
    'CUSTODY_CLOCKS_DIFFER',
    (bench) => dated(bench, { madeAtMs: bench.nowMs + DAY_MS }),
  ),
  custodyCase('block-from-the-future', 'Its block is of tomorrow.', 'CUSTODY_CLOCKS_DIFFER', (bench) =>
    dated(bench, { blockAtMs: bench.nowMs + DAY_MS }),
  ),
  custodyCase('six-days-old', 'An old request that may still be answered.', 'answered', (bench) =>
    dated(bench, { madeAtMs: bench.nowMs - 6 * DAY_MS, blockAtMs: bench.nowMs - 6 * DAY_MS }),
  ),
];

const bound = { platforms: { recover: 'bound' } };
const endorsed = { platforms: { recover: 'endorsed' } };

/** A machine of the fleet that must not have this store. */
const platformCases: readonly CustodyCase[] = [
  custodyCase(
    'elsewhere-bound',
    'The attestation key of another machine, with the victim’s disk.',
    'PLATFORM_REFUSED',
    elsewhere,
    () => bound,
  ),
  custodyCase('elsewhere-any', 'The same, where every platform may recover.', 'answered', elsewhere),
  custodyCase(
    'elsewhere-moved',
    'The same, with a move of this account to it.',
    'answered',
    elsewhere,
    (bench) => ({
      ...bound,
      moves: [{ account: bench.good.ss58, from: homeOf(bench), to: nameOf(otherPpid(bench)) }],
    }),
  ),
  custodyCase(
    'moved-backwards',
    'A move in the other direction.',
    'PLATFORM_REFUSED',
    elsewhere,
    (bench) => ({
      ...bound,
      moves: [{ account: bench.good.ss58, from: nameOf(otherPpid(bench)), to: homeOf(bench) }],
    }),
  ),
  custodyCase('home-bound', 'The machine that made the parts.', 'answered', undefined, () => bound),
  custodyCase('home-revoked', 'The same, revoked.', 'PLATFORM_REVOKED', undefined, (bench) => ({
    ...bound,
    revoked: [homeOf(bench)],
  })),
  custodyCase(
    'revoked-any',
    'Revoked, where every platform may recover.',
    'PLATFORM_REVOKED',
    elsewhere,
    (bench) => ({
      revoked: [nameOf(otherPpid(bench))],
    }),
  ),
  custodyCase('not-endorsed', 'Not on the list.', 'PLATFORM_NOT_ENDORSED', undefined, () => endorsed),
  custodyCase('endorsed', 'On the list.', 'answered', undefined, (bench) => ({
    ...endorsed,
    endorsed: [homeOf(bench)],
  })),
  custodyCase(
    'endorsed-and-revoked',
    'On both lists: revoked beats endorsed.',
    'PLATFORM_REVOKED',
    undefined,
    (bench) => ({
      ...endorsed,
      endorsed: [homeOf(bench)],
      revoked: [homeOf(bench)],
    }),
  ),
];

const MALFORMED = 'CUSTODY_BLOCK_MALFORMED';
const json = (
  name: string,
  about: string,
  change: (good: RequestFields) => Readonly<Record<string, unknown>>,
) => custodyCase(`json-${name}`, about, MALFORMED, ({ good }) => ({ json: change(good) }));
const text = (name: string, about: string, change: (text: string) => string): CustodyCase =>
  custodyCase(`text-${name}`, about, MALFORMED, () => ({ text: change }));
const named = (custodian: string) => (good: RequestFields) => ({
  parts: good.parts.map(({ sealed, digest }, index) => ({
    custodian: index === 0 ? custodian : `other-${index}`,
    digest: toPrefixedHex(digest),
    sealed: toPrefixedHex(sealed),
  })),
});

/** Text that is no request. */
const malformedCases: readonly CustodyCase[] = [
  json('unknown-field', 'A field that no version has.', () => ({ note: 'please' })),
  json('later-version', 'A later version.', () => ({ version: 2 })),
  json('other-format', 'The format of an answer.', () => ({ format: 'latchkey-custody-answer' })),
  json('threshold-1', 'A threshold of one.', () => ({ threshold: 1 })),
  json('threshold-17', 'A threshold above the most custodians.', () => ({ threshold: 17 })),
  json('one-part', 'One part alone.', () => ({ parts: [] })),
  json('short-key', 'A short one-time key.', () => ({ oneTimeKey: '0x00' })),
  json('generation-0', 'Generation 0.', () => ({ generation: 0 })),
  json('no-date', 'A report without a date.', () => ({ report: { reason: 'locked', servers: [] } })),
  json('date-beyond', 'A date that no calendar has.', ({ report }) => ({
    report: { ...report, madeAtMs: 8_640_000_000_000_001 },
  })),
  json('name-with-line', 'A name that looks like a line of the tool.', named('alice\n2 of 3 are needed')),
  json('name-empty', 'An empty name.', named('')),
  text('nothing', 'No text.', () => ''),
  text('twice', 'Two requests in one text.', (one) => one + one),
  text('no-end', 'No last line.', (one) => one.replace('-----END', '----END')),
  text('answer', 'An answer.', (one) => one.replaceAll('REQUEST', 'ANSWER')),
  text('no-json', 'No JSON.', () => block('please')),
  text('no-base64', 'A character of another alphabet.', (one) => one.replace('\ney', '\n*y')),
];

/** All cases. */
export const custodyCases: readonly CustodyCase[] = [
  custodyCase('good', 'A good request.', 'answered'),
  custodyCase('quoted-mail', 'A good request in a quoted mail.', 'answered', () => ({
    text: (one) => `Hello\r\n${one.replaceAll(/^/gm, '> ').replaceAll('\n', '\r\n')}`,
  })),
  ...boundCases,
  ...machineCases,
  ...timeCases,
  ...platformCases,
  ...malformedCases,
];
