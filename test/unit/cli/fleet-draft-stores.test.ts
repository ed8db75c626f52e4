import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { fleetCommand } from '../../../src/cli/commands/fleet.ts';
import { readManifestFile, writeManifestFile } from '../../../src/fleet/manifest-file.ts';
import { addSignature } from '../../../src/fleet/sign-header.ts';
import {
  decodeSignedHeader,
  encodeSignedHeader,
  type SignedHeader,
} from '../../../src/fleet/signed-header.ts';
import type { FleetAuthority } from '../../../src/trust/fleet-authority.ts';
import { AuthorityWorld, DELAY_MS, fixed, idOf, network, START_MS } from '../../support/fleet-world.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const accountOf = (name: string): string => encodeSs58(AccountId.of(fixed(name)));
const subject = accountOf('subject');
const letters = ['a', 'b', 'c', 'd', 'e'] as const;
const listed = (...names: readonly string[]) =>
  names.map((name) => ({ platform: idOf(name), owner: 'Example', place: 'rack' }));

interface Slot {
  readonly server: string;
  readonly platform?: string;
  readonly isLive: boolean;
}
const slotAt = (name: string, isLive = true): Slot => ({
  server: accountOf(name),
  platform: idOf(name),
  isLive,
});
const healthy = letters.map((name) => slotAt(name));

/** The status of a node whose five slots are at five platforms, three of which open its store. */
const statusOf = (slots: readonly Slot[] = healthy, other: object = {}, account = subject) => ({
  accountId: account,
  state: 'backed',
  slots: slots.map(({ server }) => ({ server, standing: 'live' })),
  keyslots: {
    readAt: new Date().toISOString(),
    platform: idOf(account),
    generation: 1,
    t: 3,
    n: 5,
    slots,
  },
  ...other,
});

describe('latchkey fleet draft and the stores of the fleet', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  const world = new AuthorityWorld();
  const at = (name: string): string => join(folder.path, name);

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: START_MS });
    folder = await tempFolder();
    await configure('registered');
  });
  afterEach(async () => {
    vi.useRealTimers();
    await folder[Symbol.asyncDispose]();
  });

  async function configure(servers: 'registered' | 'endorsed', other: Partial<FleetAuthority> = {}) {
    const config = {
      node: { dataFolder: './data' },
      chain: { endpoints: ['ws://127.0.0.1:1'] },
      quote: { source: 'configfs' },
      collateral: { endpoints: ['http://127.0.0.1:1'] },
      trust: {
        chain: { genesisHash: toPrefixedHex(network) },
        authority: { ...world.authority, ...other },
        platforms: { recover: 'bound', servers, clients: 'any' },
      },
    };
    await writeFile(at('config.yaml'), stringify(config));
  }

  /** Drafts content. @returns the code of the refusal, and what was printed for people. */
  async function draft(content: object, ...args: readonly string[]) {
    await writeFile(at('content.yaml'), stringify(content));
    const errors: string[] = [];
    const error = vi
      .spyOn(process.stderr, 'write')
      .mockImplementation((text) => errors.push(String(text)) > 0);
    const log = vi.spyOn(console, 'log').mockReturnValue(undefined);
    const usual = ['--config', at('config.yaml'), '--content', at('content.yaml'), '--out', at('out')];
    try {
      await fleetCommand().parseAsync(['draft', ...usual, '--accept-losses', ...args], { from: 'user' });
      return { code: 'none', told: errors.join('') };
    } catch (refusal) {
      return { code: (refusal as { readonly code?: string }).code, told: errors.join('') };
    } finally {
      error.mockRestore();
      log.mockRestore();
    }
  }

  async function status(name: string, content: unknown): Promise<string> {
    await writeFile(at(name), typeof content === 'string' ? content : JSON.stringify(content));
    return at(name);
  }

  /** Drafts and signs a manifest, to be the one before the next. */
  async function former(content: object, ...args: readonly string[]): Promise<string> {
    expect(await draft(content, ...args)).toMatchObject({ code: 'none' });
    return signDraft();
  }

  async function signDraft(): Promise<string> {
    const { signed, ...parts } = readManifestFile(await readFile(at('out'), 'utf8'));
    const complete = world.signers.reduce<SignedHeader>(addSignature, decodeSignedHeader(signed));
    await writeFile(at('former'), writeManifestFile({ signed: encodeSignedHeader(complete), ...parts }));
    await rm(at('out'));
    return at('former');
  }

  it('refuses revocations that lock a store, and names account, threshold, platforms and servers', async () => {
    const file = await status('subject.json', statusOf());
    const { code, told } = await draft({ revoked: listed(...letters) }, '--status', file, '--accept-unknown');
    expect(code).toBe('FLEET_DRAFT_REFUSED');
    expect(told).toContain(`would lock ${subject}: t is 3, and 2 of its slots would count`);
    for (const name of letters) expect(told).toContain(`platform ${idOf(name)} (server ${accountOf(name)})`);
    await expect(access(at('out'))).rejects.toThrow('ENOENT');
  });

  it('writes revocations that leave enough: revoked platforms count up to the limit of a recovery', async () => {
    const file = await status('subject.json', statusOf());
    const revoked = listed('a', 'b', 'c', 'd');
    expect(await draft({ revoked }, '--status', file, '--accept-unknown')).toMatchObject({ code: 'none' });
  });

  it('counts only live slots', async () => {
    const file = await status('s.json', statusOf(letters.map((name) => slotAt(name, name < 'd'))));
    expect(
      await draft({ revoked: listed('a', 'b', 'c') }, '--status', file, '--accept-unknown'),
    ).toMatchObject({ code: 'FLEET_DRAFT_REFUSED' });
    const all = await status('s.json', statusOf());
    expect(
      await draft({ revoked: listed('a', 'b', 'c') }, '--status', all, '--accept-unknown'),
    ).toMatchObject({
      code: 'none',
    });
  });

  it('needs no status where nothing is taken away, and does not refuse for what was lost before', async () => {
    expect(await draft({ endorsed: listed('a') })).toMatchObject({ code: 'none' });
    const first = await signDraft();
    const few = await status('few.json', statusOf([slotAt('a'), slotAt('b', false)], { state: 'degraded' }));
    const revoked = listed('z');
    const args = ['--from', first, '--status', few];
    expect((await draft({ endorsed: listed('a'), revoked }, ...args, '--accept-unknown')).code).toBe('none');
  });

  it('lists the accounts that it could not ask, and goes on only when this is accepted', async () => {
    const file = await status('subject.json', statusOf());
    const revoked = listed('a');
    const { code, told } = await draft({ revoked }, '--status', file);
    expect(code).toBe('FLEET_DRAFT_REFUSED');
    for (const name of letters) expect(told).toContain(`not asked: ${accountOf(name)}: no status file`);
    expect(told).not.toContain(`not asked: ${subject}`);
    expect(told).toContain('other accounts of the chain');
    expect((await draft({ revoked })).code).toBe('FLEET_DRAFT_REFUSED');
    expect((await draft({ revoked }, '--accept-unknown')).code).toBe('none');
  });

  const day = 86_400_000;
  it.each([
    ['a closed store', { state: 'locked' }, 'its node is locked'],
    ['an older release', { keyslots: undefined }, 'has no keyslots'],
    ['a status of yesterday', aged(-day - 1), 'not within the last day'],
    ['a status of tomorrow', aged(15 * 60_000 + 1), 'not within the last day'],
    [
      'platforms that the node does not know',
      { keyslots: { ...statusOf().keyslots, slots: healthy.map(({ platform: _, ...slot }) => slot) } },
      'does not know the platforms',
    ],
  ])('an account is unknown: %s', async (_, other, why) => {
    const own = { ...statusOf(), ...other };
    const { keyslots } = own;
    // Dates are made before the clock of the test is set.
    const shifted =
      keyslots === undefined
        ? own
        : { ...own, keyslots: { ...keyslots, readAt: new Date(START_MS + offsetOf(other)).toISOString() } };
    const file = await status('subject.json', shifted);
    const { code, told } = await draft({ revoked: listed(...letters) }, '--status', file);
    expect(code).toBe('FLEET_DRAFT_REFUSED');
    expect(told).toMatch(new RegExp(`not asked: ${subject}: .*${why}`));
  });

  it('with servers: endorsed, an endorsement that is left out counts like a revocation', async () => {
    await configure('endorsed', { delayMs: 0 });
    const first = await former({ endorsed: listed(...letters) });
    const file = await status('subject.json', statusOf());
    const next = (...names: readonly string[]) =>
      draft({ endorsed: listed(...names) }, '--from', first, '--status', file, '--accept-unknown');
    expect(await next()).toMatchObject({ code: 'FLEET_DRAFT_REFUSED' });
    expect(await next('e')).toMatchObject({ code: 'none' });
  });

  it('an endorsement that ends earlier than before counts as taken away', async () => {
    await configure('endorsed', { delayMs: 0 });
    const first = await former({ endorsed: listed(...letters) });
    const file = await status('subject.json', statusOf());
    const endorsed = listed(...letters).map((entry) => ({ ...entry, until: START_MS + 30 * day }));
    const args = ['--status', file, '--accept-unknown'];
    expect((await draft({ endorsed }, '--from', first, ...args)).code).toBe('FLEET_DRAFT_REFUSED');
    const same = await former({ endorsed });
    expect((await draft({ endorsed }, '--from', same)).code).toBe('none');
  });

  it('a new endorsement does not stand in for one that is left out, before its delay is over', async () => {
    await configure('endorsed');
    const first = await former({ endorsed: listed(...letters) });
    vi.setSystemTime(START_MS + DELAY_MS);
    const moved = ['f', 'g', 'h'].map((name) => slotAt(name));
    const file = await status('s.json', statusOf([slotAt('a'), slotAt('b'), ...moved]));
    const endorsed = listed('f', 'g', 'h');
    const args = ['--status', file, '--accept-unknown'];
    const { code, told } = await draft({ endorsed }, '--from', first, ...args);
    expect(code).toBe('FLEET_DRAFT_REFUSED');
    expect(told).toContain(`${idOf('a')}`);
    const both = await former({ endorsed: listed(...letters, 'f', 'g', 'h') }, '--from', first);
    vi.setSystemTime(START_MS + 2 * DELAY_MS);
    const later = await status('s.json', statusOf([slotAt('a'), slotAt('b'), ...moved]));
    expect((await draft({ endorsed }, '--from', both, '--status', later, '--accept-unknown')).code).toBe(
      'none',
    );
  });

  it('a revocation that has ended is none', async () => {
    const file = await status('subject.json', statusOf());
    const revoked = listed(...letters).map((entry) => ({ ...entry, until: START_MS }));
    expect((await draft({ revoked }, '--status', file)).code).toBe('none');
  });

  it('after a handover, what the former authority endorsed has to be repeated', async () => {
    await configure('endorsed');
    await writeFile(at('successor.yaml'), stringify(successor));
    const error = vi.spyOn(console, 'log').mockReturnValue(undefined);
    const handover = ['--successor', at('successor.yaml'), '--out', at('out')];
    await fleetCommand().parseAsync(['draft', '--config', at('config.yaml'), ...handover], { from: 'user' });
    error.mockRestore();
    const from = ['--from', await signDraft()];
    await configure('endorsed', successor);
    const file = await status('subject.json', statusOf());
    const args = [...from, '--status', file, '--accept-unknown'];
    expect((await draft({}, ...args)).code).toBe('FLEET_DRAFT_REFUSED');
    expect((await draft({ endorsed: listed(...letters) }, ...args)).code).toBe('none');
    const silent = ['--from', at('former'), '--status', file];
    expect((await draft({ endorsed: listed(...letters) }, ...silent)).code).toBe('FLEET_DRAFT_REFUSED');
  });

  it.each([
    ['no JSON', '{'],
    ['a node without an account', JSON.stringify({ state: 'starting' })],
    ['an account that is no SS58', JSON.stringify({ ...statusOf(), accountId: '\u001b[2Jgood' })],
    ['more slots than there can be', JSON.stringify(statusOf(Array.from({ length: 17 }, () => slotAt('a'))))],
  ])('refuses a status file: %s', async (_, text) => {
    const file = await status('bad.json', text);
    const { code, told } = await draft({ revoked: listed('a') }, '--status', file, '--accept-unknown');
    expect(code).toBe('FLEET_FILE_MALFORMED');
    expect(told).not.toContain('\u001b');
  });

  it('refuses two files of one account: one of them may be old', async () => {
    const one = await status('one.json', statusOf());
    const two = await status('two.json', statusOf([slotAt('a')]));
    const args = ['--status', one, two, '--accept-unknown'];
    expect((await draft({ revoked: listed('a') }, ...args)).code).toBe('FLEET_FILE_MALFORMED');
  });

  it('lists a finished move that stays, and no other', async () => {
    const moves = [{ account: subject, from: idOf('old'), to: idOf('new') }];
    const line = `a finished move stays: ${subject} from ${idOf('old')} to ${idOf('new')}`;
    const told = async (content: object) =>
      (await draft({ moves }, '--status', await status('s.json', content), '--out', at(`${Math.random()}`)))
        .told;
    const here = (platform: string) => ({ keyslots: { ...statusOf().keyslots, platform: idOf(platform) } });
    expect(await told(statusOf(healthy, here('new')))).toContain(line);
    expect(await told(statusOf(healthy, here('old')))).not.toContain('finished');
    expect(await told(statusOf(healthy, { ...here('new'), state: 'degraded' }))).not.toContain('finished');
    const elsewhere = { slots: [{ isBoundElsewhere: true }] };
    expect(await told(statusOf(healthy, { ...here('new'), ...elsewhere }))).not.toContain('finished');
    expect(await told(statusOf(healthy, here('new'), accountOf('other')))).not.toContain('finished');
  });

  const successor = {
    id: toPrefixedHex(fixed('successor', 16)),
    threshold: 2,
    keys: [...new AuthorityWorld('successor').authority.keys],
  };
});

/** Marks how far a status is from the time of the test. */
function aged(offsetMs: number): { readonly offsetMs: number } {
  return { offsetMs };
}
const offsetOf = (other: object): number => ('offsetMs' in other ? Number(other.offsetMs) : 0);
