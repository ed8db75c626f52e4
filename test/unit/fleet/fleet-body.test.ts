import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import {
  emptyRules,
  encodeBody,
  type FleetRules,
  MAX_BODY_BYTES,
  readBody,
} from '../../../src/fleet/fleet-body.ts';
import { LAST_SERIAL } from '../../../src/fleet/fleet-header.ts';
import { Manifest, readManifest } from '../../../src/fleet/manifest.ts';
import {
  encodePlatformList,
  MAX_PLATFORM_LIST_BYTES,
  noPlatforms,
  type PlatformList,
  readPlatformList,
} from '../../../src/fleet/platform-list.ts';
import { verifyHeader } from '../../../src/fleet/verify-header.ts';
import { AuthorityWorld, fixed, hashOf, idOf, platformList, START_MS } from '../../support/fleet-world.ts';
import { codeOf } from '../../support/thrown.ts';

const world = new AuthorityWorld();
const ascending = (texts: readonly string[]): readonly string[] => [...texts].sort();
const [lowHash = '', highHash = ''] = ascending([hashOf('a'), hashOf('b')]);
const [lowId = '', highId = ''] = ascending([idOf('a'), idOf('b')]);
const account = encodeSs58(AccountId.of(fixed('account')));
const since = START_MS;

const full: FleetRules = {
  kind: 'rules',
  version: 1,
  trustHashes: [
    { hash: lowHash, since },
    { hash: highHash, since, until: START_MS + 1 },
  ],
  measurements: [{ id: lowId, since }],
  minimumTcbEvaluationDataNumber: 17,
  platforms: { endorsed: idOf('endorsed'), revoked: idOf('revoked') },
  moves: [{ account, from: lowId, to: highId }],
  rekey: { id: toPrefixedHex(fixed('rekey', 16)), reason: 'rack 7 was opened' },
  signers: [lowId, highId],
};
const other = new AuthorityWorld('successor').authority;
const handover = {
  kind: 'handover',
  version: 1,
  successor: { id: other.id, threshold: other.threshold, keys: other.keys },
} as const;

const read = (bytes: Uint8Array) => readBody(bytes, world.header({ bodyHash: sha256(bytes) }));
const codeFor = (text: string): string => codeOf(() => read(utf8(text)));
const textOf = (body: object): string => Buffer.from(encodeBody(body as FleetRules)).toString();
const text = textOf(full);

describe('fleet body', () => {
  it.each([
    ['all rules', full],
    ['no rules', emptyRules],
  ])('reads what it wrote: %s', (_, body) => {
    expect(read(encodeBody(body))).toEqual(body);
  });

  it('a handover has the last serial, and nothing else has it', () => {
    const bytes = encodeBody(handover);
    const header = (serial: number) => world.header({ bodyHash: sha256(bytes), serial });
    expect(readBody(bytes, header(LAST_SERIAL))).toEqual(handover);
    expect(codeOf(() => readBody(bytes, header(LAST_SERIAL - 1)))).toBe('FLEET_BODY_MALFORMED');
    const rules = encodeBody(full);
    const last = world.header({ bodyHash: sha256(rules), serial: LAST_SERIAL });
    expect(codeOf(() => readBody(rules, last))).toBe('FLEET_BODY_MALFORMED');
  });

  it('has no move back to a platform that another move of the account leaves', () => {
    const back = { account, from: highId, to: lowId };
    const moves = [...full.moves, back].sort((a, b) => (a.from < b.from ? -1 : 1));
    expect(codeOf(() => encodeBody({ ...full, moves }))).toBe('FLEET_BODY_MALFORMED');
    const [first] = full.moves;
    expect(codeOf(() => encodeBody({ ...full, moves: first ? [{ ...first, to: first.from }] : [] }))).toBe(
      'FLEET_BODY_MALFORMED',
    );
    const elsewhere = encodeSs58(AccountId.of(fixed('another account')));
    const others = [...full.moves, { ...back, account: elsewhere }];
    others.sort((a, b) => (`${a.account} ${a.from}` < `${b.account} ${b.from}` ? -1 : 1));
    expect(codeOf(() => encodeBody({ ...full, moves: others }))).toBe('none');
  });

  it('is not parsed before its hash matches', () => {
    expect(codeOf(() => readBody(utf8('not JSON'), world.header()))).toBe('FLEET_BODY_MISMATCH');
  });

  it('has a limit', () => {
    const bytes = new Uint8Array(MAX_BODY_BYTES + 1);
    expect(codeOf(() => read(bytes))).toBe('FLEET_BODY_MALFORMED');
    expect(codeOf(() => read(bytes.subarray(1)))).toBe('FLEET_BODY_MALFORMED');
  });

  it('fits with the longest lists', () => {
    const names = Array.from({ length: 1024 }, (_, index) => idOf(`${index}`)).sort();
    const moves = names.map((from) => ({ account, from, to: lowId }));
    const hashes = Array.from({ length: 64 }, (_, index) => hashOf(`${index}`)).sort();
    const body: FleetRules = {
      ...full,
      moves,
      trustHashes: hashes.map((hash) => ({ hash, since, until: Number.MAX_SAFE_INTEGER })),
      measurements: names.slice(0, 256).map((id) => ({ id, since, until: Number.MAX_SAFE_INTEGER })),
    };
    expect(encodeBody(body).length).toBeLessThan(MAX_BODY_BYTES);
    expect(() =>
      encodeBody({ ...body, moves: [...moves, { account, from: `0x${'ff'.repeat(32)}`, to: lowId }] }),
    ).toThrow(/moves/);
  });

  it.each([
    ['a space', `${text} `],
    ['a byte order mark', `\ufeff${text}`],
    ['other order of fields', text.replace('"kind":"rules",', '').replace(/}$/, ',"kind":"rules"}')],
    ['a field twice', text.replace('"version":1', '"version":1,"version":1')],
    ['an unknown field', text.replace('"version":1', '"version":1,"x":1')],
    ['__proto__', text.replace('{', '{"__proto__":{"a":1},')],
    ['an escape', text.replace('rack 7', 'r\\u0061ck 7')],
    ['a control character', text.replace('rack 7', 'rack\\u001b7')],
    ['a number above 2^53', text.replace(`${START_MS + 1}`, '9007199254740993')],
    ['a number with exponent', text.replace('DataNumber":17', 'DataNumber":17e0')],
    ['a fraction', text.replace('DataNumber":17', 'DataNumber":17.5')],
    ['a negative number', text.replace('DataNumber":17', 'DataNumber":-17')],
    ['minus zero', text.replace('DataNumber":17', 'DataNumber":-0')],
    ['upper-case hex', text.replace(lowHash, lowHash.toUpperCase().replace('0X', '0x'))],
    ['a short hash', text.replace(lowHash, lowHash.slice(0, -2))],
    ['hashes in another order', text.replace(lowHash, 'x').replace(highHash, lowHash).replace('x', highHash)],
    ['a hash twice', text.replace(highHash, lowHash)],
    ['an account in hex', text.replace(account, toPrefixedHex(fixed('account')))],
    ['an account with a wrong checksum', text.replace(account, `${account.slice(0, -1)}1`)],
    ['another version', text.replace('"version":1', '"version":2')],
    ['another kind', text.replace('"rules"', '"rule"')],
    ['no lists', text.replace(/"moves":\[.*?\],/, '')],
    ['a list that is no list', text.replace(/"moves":\[.*?\]/, '"moves":{}')],
    ['null', 'null'],
    ['an array', `[${text}]`],
    ['a handover with rules', textOf(handover).replace('"version":1', '"trustHashes":[],"version":1')],
    ['a handover to too few keys', textOf(handover).replace('"threshold":2', '"threshold":4')],
    [
      'a handover to a key of small order',
      textOf(handover).replace(other.keys[0] ?? '', `0x${'00'.repeat(32)}`),
    ],
  ])('refuses %s', (_, changed) => {
    expect(changed).not.toBe(text);
    expect(codeFor(changed)).toBe('FLEET_BODY_MALFORMED');
  });

  it('refuses bytes that are not UTF-8', () => {
    const bytes = utf8(text);
    bytes[bytes.length - 3] = 0xff;
    expect(codeOf(() => read(bytes))).toBe('FLEET_BODY_MALFORMED');
  });

  it('refuses entries that are older than their first manifest can be', () => {
    const late = (changes: Partial<FleetRules>): string => codeFor(textOf({ ...emptyRules, ...changes }));
    expect(late({ trustHashes: [{ hash: lowHash, since: START_MS + 1 }] })).toBe('FLEET_BODY_MALFORMED');
    expect(late({ measurements: [{ id: lowId, since: START_MS + 1 }] })).toBe('FLEET_BODY_MALFORMED');
    expect(late({ measurements: [{ id: lowId, since: START_MS }] })).toBe('none');
  });

  it('is not written when no reader would accept it', () => {
    const twice = [
      { id: lowId, since },
      { id: lowId, since },
    ];
    expect(codeOf(() => encodeBody({ ...full, measurements: twice }))).toBe('FLEET_BODY_MALFORMED');
  });
});

describe('platform list', () => {
  const list = platformList('a', 'b', 'c');
  const bytes = encodePlatformList(list);
  const hash = toPrefixedHex(sha256(bytes));
  const codeOfText = (changed: string): string => {
    const changedBytes = utf8(changed);
    return codeOf(() => readPlatformList(changedBytes, toPrefixedHex(sha256(changedBytes)), START_MS));
  };
  const listText = Buffer.from(bytes).toString();

  it('reads what it wrote, and nothing else', () => {
    expect(readPlatformList(bytes, hash, START_MS)).toEqual(list);
    expect(codeOf(() => readPlatformList(bytes, idOf('other'), START_MS))).toBe('FLEET_BODY_MISMATCH');
    expect(codeOf(() => readPlatformList(bytes, 'no hash', START_MS))).toBe('FLEET_BODY_MISMATCH');
    expect(codeOf(() => readPlatformList(bytes, hash, START_MS - 1))).toBe('FLEET_BODY_MALFORMED');
  });

  it.each([
    [
      'a platform twice',
      listText.replace(list.platforms[1]?.platform ?? '', list.platforms[0]?.platform ?? ''),
    ],
    ['no owner', listText.replace('"owner":"Example",', '')],
    ['a line in the owner', listText.replace('Example', 'Exam\\nple')],
    ['an owner of 65 characters', listText.replace('Example', 'x'.repeat(65))],
    ['another field', listText.replace('"version":1', '"version":1,"x":1')],
  ])('refuses %s', (_, changed) => {
    expect(changed).not.toBe(listText);
    expect(codeOfText(changed)).toBe('FLEET_BODY_MALFORMED');
  });

  it('holds 10,000 platforms, and at most 4 MiB', () => {
    const platforms: PlatformList['platforms'] = Array.from({ length: 10_000 }, (_, index) => ({
      platform: `0x${index.toString(16).padStart(64, '0')}`,
      owner: 'Example Hosting',
      place: 'Frankfurt, rack 12',
      since: START_MS,
    }));
    expect(encodePlatformList({ version: 1, platforms }).length).toBeLessThan(MAX_PLATFORM_LIST_BYTES / 2);
    const tooLong = new Uint8Array(MAX_PLATFORM_LIST_BYTES + 1).fill(0x20);
    expect(codeOf(() => readPlatformList(tooLong, toPrefixedHex(sha256(tooLong)), START_MS))).toBe(
      'FLEET_BODY_MALFORMED',
    );
  });
});

describe('manifest', () => {
  const endorsed = encodePlatformList(platformList('a'));
  const body = encodeBody({ ...emptyRules, platforms: { endorsed: toPrefixedHex(sha256(endorsed)) } });
  const header = verifyHeader(world.sign(world.header({ bodyHash: sha256(body) })), world.rules);

  it('is header, body and the documents that the body names', () => {
    const manifest = readManifest(header, { body, endorsed });
    expect(manifest).toMatchObject({ serial: 1, endorsed: platformList('a'), revoked: noPlatforms });
  });

  it('is none with a document that is missing or another', () => {
    expect(codeOf(() => readManifest(header, { body }))).toBe('FLEET_BODY_MISMATCH');
    const forged = encodePlatformList(platformList('thief'));
    expect(codeOf(() => readManifest(header, { body, endorsed: forged }))).toBe('FLEET_BODY_MISMATCH');
    expect(codeOf(() => readManifest(header, { body: encodeBody(emptyRules), endorsed }))).toBe(
      'FLEET_BODY_MISMATCH',
    );
  });

  it('ignores a document that the body does not name', () => {
    expect(readManifest(header, { body, endorsed, revoked: endorsed }).revoked).toEqual(noPlatforms);
  });

  it('is made by its reader only', () => {
    const content = {
      header,
      body: emptyRules,
      endorsed: noPlatforms,
      revoked: noPlatforms,
      parts: { body },
    };
    // @ts-expect-error the key of the maker is not exported
    expect(() => new Manifest(Symbol('readManifest'), header, content, { body })).toThrow(TypeError);
  });
});
