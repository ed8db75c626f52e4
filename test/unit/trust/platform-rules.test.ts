import { describe, expect, it } from 'vitest';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { RefusalError } from '../../../src/errors/latchkey-error.ts';
import type { FleetAuthority } from '../../../src/trust/fleet-authority.ts';
import { PlatformLists, type PlatformListsContent, platformHash } from '../../../src/trust/platform-lists.ts';
import { PlatformRules } from '../../../src/trust/platform-rules.ts';
import { type PlatformPolicy, parseTrustSection } from '../../../src/trust/trust-section.ts';

const account = AccountId.of(new Uint8Array(32).fill(7));
const other = AccountId.of(new Uint8Array(32).fill(8));
const [home, away, third] = [1, 2, 3].map((byte) => new Uint8Array(16).fill(byte)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const nameOf = (ppid: Uint8Array): string => toPrefixedHex(platformHash(ppid));
const endorsement = (ppid: Uint8Array) => ({ platform: nameOf(ppid), owner: 'o', place: 'p' });

const authority: FleetAuthority = {
  id: `0x${'0a'.repeat(16)}`,
  threshold: 1,
  keys: [`0x${'0b'.repeat(32)}`],
  minimumSerial: 1,
  delayMs: 0,
};

function rulesOf(
  policy: Partial<PlatformPolicy>,
  lists: Partial<PlatformListsContent> = {},
  authority?: FleetAuthority,
): PlatformRules {
  const section = parseTrustSection({ chain: { genesisHash: `0x${'ab'.repeat(32)}` } });
  const platforms = { recover: 'bound', servers: 'registered', clients: 'any', ...policy } as const;
  const made = new PlatformLists({ endorsed: [], revoked: [], moves: [], ...lists });
  return new PlatformRules(
    { ...section, platforms, ...(authority === undefined ? {} : { authority }) },
    () => made,
  );
}

/** What came of a judgement: its verdict, or the code of its refusal. */
function verdictOf(judge: () => unknown): unknown {
  try {
    return judge() ?? 'allowed';
  } catch (error) {
    if (error instanceof RefusalError) return error.code;
    throw error;
  }
}

describe('who gets an existing key', () => {
  const recover = (rules: PlatformRules, ppid: Uint8Array, who = account) =>
    verdictOf(() => rules.judgeRecovery({ account: who, boundTo: home, ppid }));
  const move = { account: encodeSs58(account), from: nameOf(home), to: nameOf(away) };
  const bound = (lists: Partial<PlatformListsContent> = {}) => rulesOf({ recover: 'bound' }, lists);
  const endorsed = (lists: Partial<PlatformListsContent>) => rulesOf({ recover: 'endorsed' }, lists);

  it.each([
    ['bound: its own platform', bound(), home, 'stays'],
    ['bound: another platform', bound(), away, 'PLATFORM_REFUSED'],
    [
      'bound: an endorsed platform is still another one',
      bound({ endorsed: [endorsement(away)] }),
      away,
      'PLATFORM_REFUSED',
    ],
    ['bound: the target of a move', bound({ moves: [move] }), away, 'move'],
    ['bound: a third platform', bound({ moves: [move] }), third, 'PLATFORM_REFUSED'],
    [
      'bound: against the direction of a move',
      bound({ moves: [{ ...move, from: move.to, to: move.from }] }),
      away,
      'PLATFORM_REFUSED',
    ],
    [
      'bound: a move from a third platform',
      bound({ moves: [{ ...move, from: nameOf(third) }] }),
      away,
      'PLATFORM_REFUSED',
    ],
    [
      'bound: a move of another account',
      bound({ moves: [{ ...move, account: encodeSs58(other) }] }),
      away,
      'PLATFORM_REFUSED',
    ],
    [
      'bound: a revoked target of a move',
      bound({ moves: [move], revoked: [move.to] }),
      away,
      'PLATFORM_REVOKED',
    ],
    ['bound: away from a revoked platform', bound({ moves: [move], revoked: [move.from] }), away, 'move'],
    ['bound: its own platform, revoked', bound({ revoked: [nameOf(home)] }), home, 'PLATFORM_REVOKED'],
    ['endorsed: on the list', endorsed({ endorsed: [endorsement(away)] }), away, 'stays'],
    [
      'endorsed: not on the list',
      endorsed({ endorsed: [endorsement(third)] }),
      away,
      'PLATFORM_NOT_ENDORSED',
    ],
    ['endorsed: its own platform, not on the list', endorsed({}), home, 'PLATFORM_NOT_ENDORSED'],
    [
      'endorsed: on both lists',
      endorsed({ endorsed: [endorsement(away)], revoked: [nameOf(away)] }),
      away,
      'PLATFORM_REVOKED',
    ],
    ['any: another platform', rulesOf({ recover: 'any' }), away, 'stays'],
    [
      'any: a revoked platform',
      rulesOf({ recover: 'any' }, { revoked: [nameOf(away)] }),
      away,
      'PLATFORM_REVOKED',
    ],
  ] as const)('%s', (_title, rules, ppid, expected) => {
    expect(recover(rules, ppid)).toBe(expected);
  });

  it('asks the lists anew each time', () => {
    let lists = new PlatformLists({ endorsed: [], revoked: [], moves: [] });
    const section = parseTrustSection({ chain: { genesisHash: `0x${'ab'.repeat(32)}` }, platforms: {} });
    const rules = new PlatformRules(section, () => lists);
    expect(recover(rules, away)).toBe('PLATFORM_REFUSED');
    lists = new PlatformLists({ endorsed: [], revoked: [], moves: [move] });
    expect(recover(rules, away)).toBe('move');
  });

  it('names the platform, what would allow it, who has to sign, and the command', () => {
    const refusal = (authority?: FleetAuthority) => {
      try {
        rulesOf({}, {}, authority).judgeRecovery({ account, boundTo: home, ppid: away });
        return undefined;
      } catch (error) {
        return error;
      }
    };
    expect(refusal(authority)).toMatchObject({
      observed: expect.stringContaining(toPrefixedHex(platformHash(away))),
      expected: expect.stringContaining(toPrefixedHex(platformHash(home))),
      hint: expect.stringMatching(
        new RegExp(`a move of ${encodeSs58(account)}.*trust.authority.*latchkey fleet draft`),
      ),
    });
    expect(refusal()).toMatchObject({ hint: expect.stringContaining('nobody can sign it') });
  });

  it('says all of it in the message, within what a node keeps of a refusal', () => {
    const judge = () => rulesOf({}, {}, authority).judgeRecovery({ account, boundTo: home, ppid: away });
    expect(judge).toThrow(/expected platform 0x.* a move of .* trust\.authority .*latchkey fleet sign/);
    expect(judge).toThrow(expect.objectContaining({ message: expect.stringMatching(/^.{1,500}$/) }));
  });
});

describe('whether a machine would get its keys back after a restart', () => {
  it.each([
    ['bound: any machine may be the right one', rulesOf({}), undefined],
    ['bound: but no revoked one', rulesOf({}, { revoked: [nameOf(away)] }), 'PLATFORM_REVOKED'],
    ['endorsed: on the list', rulesOf({ recover: 'endorsed' }, { endorsed: [endorsement(away)] }), undefined],
    ['endorsed: not on the list', rulesOf({ recover: 'endorsed' }), 'PLATFORM_NOT_ENDORSED'],
  ])('%s', (_title, rules, expected) => {
    expect(rules.restartRefusal(away)?.split(':')[0]).toBe(expected);
  });

  it('a fault of the lists is no refusal', () => {
    const section = parseTrustSection({ chain: { genesisHash: `0x${'ab'.repeat(32)}` }, platforms: {} });
    const broken = new PlatformRules(section, () => {
      throw new TypeError('a fault');
    });
    expect(() => broken.restartRefusal(away)).toThrow(new TypeError('a fault'));
  });

  it('a server names the platform of a slot only where no other one gets the key', () => {
    expect(rulesOf({}).bindingOf(home)).toEqual(platformHash(home));
    expect(rulesOf({ recover: 'endorsed' }).bindingOf(home)).toBeUndefined();
    expect(rulesOf({ recover: 'any' }).bindingOf(home)).toBeUndefined();
  });
});

describe('who gets a new key', () => {
  const ask = (rules: PlatformRules) => verdictOf(() => rules.judgeNewKey(away));
  it.each([
    ['any: every platform', rulesOf({ clients: 'any' }), 'allowed'],
    ['any: but no revoked one', rulesOf({ clients: 'any' }, { revoked: [nameOf(away)] }), 'PLATFORM_REVOKED'],
    ['endorsed: on the list', rulesOf({ clients: 'endorsed' }, { endorsed: [endorsement(away)] }), 'allowed'],
    ['endorsed: not on the list', rulesOf({ clients: 'endorsed' }), 'PLATFORM_NOT_ENDORSED'],
  ])('%s', (_title, rules, expected) => {
    expect(ask(rules)).toBe(expected);
  });
});

describe('who may hold a key', () => {
  const onBoth = { endorsed: [endorsement(away)], revoked: [nameOf(away)] };
  it.each([
    ['registered: a new server', rulesOf({}), 'new', 'allowed'],
    [
      'registered: a new server, revoked',
      rulesOf({}, { revoked: [nameOf(away)] }),
      'new',
      'PLATFORM_REVOKED',
    ],
    ['registered: a holder, revoked', rulesOf({}, { revoked: [nameOf(away)] }), 'holder', 'allowed'],
    [
      'endorsed: a new server on the list',
      rulesOf({ servers: 'endorsed' }, { endorsed: [endorsement(away)] }),
      'new',
      'allowed',
    ],
    [
      'endorsed: a new server not on the list',
      rulesOf({ servers: 'endorsed' }),
      'new',
      'PLATFORM_NOT_ENDORSED',
    ],
    ['endorsed: a holder not on the list', rulesOf({ servers: 'endorsed' }), 'holder', 'allowed'],
    [
      'endorsed: a slot that is counted, not on the list',
      rulesOf({ servers: 'endorsed' }),
      'kept',
      'PLATFORM_NOT_ENDORSED',
    ],
    ['endorsed: a holder on both lists', rulesOf({ servers: 'endorsed' }, onBoth), 'holder', 'allowed'],
    [
      'endorsed: a new server on both lists',
      rulesOf({ servers: 'endorsed' }, onBoth),
      'new',
      'PLATFORM_REVOKED',
    ],
    [
      'registered: a slot that is counted, revoked',
      rulesOf({}, { revoked: [nameOf(away)] }),
      'kept',
      'PLATFORM_REVOKED',
    ],
  ] as const)('%s', (_title, rules, role, expected) => {
    expect(verdictOf(() => rules.judgeServer(away, role))).toBe(expected);
  });

  it('a server that is to get a slot is judged by the lists for that alone', () => {
    const section = parseTrustSection({ chain: { genesisHash: `0x${'ab'.repeat(32)}` } });
    const platforms = { recover: 'bound', servers: 'endorsed', clients: 'any' } as const;
    const lists = new PlatformLists({ endorsed: [endorsement(away)], revoked: [], moves: [] });
    const none = new PlatformLists({ endorsed: [], revoked: [], moves: [] });
    const rules = new PlatformRules({ ...section, platforms }, (view) =>
      view === 'enrolling' ? none : lists,
    );
    const verdicts = (['new', 'kept', 'holder'] as const).map((role) =>
      verdictOf(() => rules.judgeServer(away, role)),
    );
    expect(verdicts).toEqual(['PLATFORM_NOT_ENDORSED', 'allowed', 'allowed']);
  });

  it.each([
    ['endorsed and on the list', rulesOf({ servers: 'endorsed' }, { endorsed: [endorsement(away)] }), false],
    ['endorsed and not on the list', rulesOf({ servers: 'endorsed' }), true],
    ['endorsed and on both lists', rulesOf({ servers: 'endorsed' }, onBoth), true],
    ['registered and on no list', rulesOf({}), false],
    ['registered and revoked', rulesOf({}, { revoked: [nameOf(away)] }), true],
  ])('counts in part where the fleet does not vouch for it: %s', (_title, rules, expected) => {
    expect(rules.countsInPart(away)).toBe(expected);
  });

  it('each decision asks the list that is for it', () => {
    const section = parseTrustSection({ chain: { genesisHash: `0x${'ab'.repeat(32)}` } });
    const asked: string[] = [];
    const lists = new PlatformLists({ endorsed: [endorsement(away)], revoked: [], moves: [] });
    const rules = new PlatformRules(
      { ...section, platforms: { recover: 'endorsed', servers: 'endorsed', clients: 'endorsed' } },
      (view) => {
        asked.push(view);
        return lists;
      },
    );
    const viewsOf = (judge: () => unknown): readonly string[] => {
      asked.length = 0;
      judge();
      return [...new Set(asked)];
    };
    expect(viewsOf(() => rules.judgeRequest(away))).toEqual(['granting']);
    expect(viewsOf(() => rules.judgeNewKey(away))).toEqual(['granting']);
    expect(viewsOf(() => rules.judgeRecovery({ account, boundTo: home, ppid: away }))).toEqual(['granting']);
    expect(viewsOf(() => rules.restartRefusal(away))).toEqual(['granting']);
    expect(viewsOf(() => rules.judgeServer(away, 'kept'))).toEqual(['asking']);
    expect(viewsOf(() => rules.countsInPart(away))).toEqual(['asking']);
    expect(viewsOf(() => rules.judgeServer(away, 'new'))).toEqual(['enrolling']);
  });

  it('revoked beats endorsed in the lists themselves', () => {
    expect(new PlatformLists({ ...onBoth, moves: [] }).endorsementOf(platformHash(away))).toBeUndefined();
  });
});
