import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { type SgxFacts, sgxExtension } from '../pki/sgx-extension.ts';
import type { Evidence } from './evidence.ts';
import type { TamperBench } from './tamper-bench.ts';

/** The machine that the keys of the victim are bound to. */
const HOME = 0;
/** A machine whose attestation key was extracted. */
const BROKEN = 60;
/** The account whose keys are asked for, and another one. */
export const VICTIM = '5CDvHBym6RLoxTdX9MS1acpaDbNxaFagqM5LpBiFGjWT6o1n';
const SOMEBODY = '5CFEdGJJoSzzatSEsdvsQ1mgECHm3LAwxtuTfgXUXrJJZr1m';

/** What the machine of the evidence wants, or what a node wants of it. */
export type PlatformRequest = 'recover' | 'new-key' | 'new-server' | 'holder';

/** Lists of a fleet, in the form of its manifest. */
interface Lists {
  readonly endorsed: readonly { readonly platform: string; readonly owner: string; readonly place: string }[];
  readonly revoked: readonly string[];
  readonly moves: readonly { readonly account: string; readonly from: string; readonly to: string }[];
}

/** Evidence of one machine, the rules and lists that judge its platform, and what a strict judge must say. */
export interface PlatformCase {
  /** Stable, kebab-case, unique. */
  readonly name: string;
  readonly about: string;
  readonly make: (bench: TamperBench) => Evidence;
  readonly request: PlatformRequest;
  /** Changes of `trust.platforms`; by default `bound`, `registered` and `any`. */
  readonly platforms: Readonly<Record<string, string>>;
  readonly lists: (bench: TamperBench) => Partial<Lists>;
  /** A code, of the verification of the quote or of the judgement; or `allowed`. */
  readonly expected: string;
}

const ppidOf = (bench: TamperBench, platform: number): Uint8Array => bench.pki.platform(platform).facts.ppid;
const nameOf = (bench: TamperBench, platform: number): string =>
  toPrefixedHex(sha256(ppidOf(bench, platform)));
const endorsed = (...names: readonly string[]): Partial<Lists> => ({
  endorsed: names.map((platform) => ({ platform, owner: 'tests', place: 'here' })),
});
const noLists = (): Partial<Lists> => ({});
const moveOf = (bench: TamperBench, change: Partial<Lists['moves'][number]> = {}): Partial<Lists> => ({
  moves: [{ account: VICTIM, from: nameOf(bench, HOME), to: nameOf(bench, BROKEN), ...change }],
});

const from =
  (platform: number) =>
  (bench: TamperBench): Evidence =>
    bench.asked({ platform });
const byHome = from(HOME);
const byBroken = from(BROKEN);

/** A genuine machine like the victim's, with other facts in its PCK certificate. */
const like =
  (change: (facts: SgxFacts) => Partial<SgxFacts>) =>
  (bench: TamperBench): Evidence =>
    bench.asked({ facts: change(bench.pki.platform(HOME).facts) });

const platformCase = (
  name: string,
  about: string,
  expected: string,
  rest: Partial<Omit<PlatformCase, 'name' | 'about' | 'expected'>>,
): PlatformCase => ({
  name,
  about,
  expected,
  make: byBroken,
  request: 'recover',
  platforms: {},
  lists: noLists,
  ...rest,
});

/** The broken machine with a PCK certificate that names the victim's PPID. */
const withPpidOfHome =
  (sign: (bench: TamperBench, extension: Uint8Array) => Evidence) =>
  (bench: TamperBench): Evidence =>
    sign(bench, sgxExtension({ ...bench.pki.platform(BROKEN).facts, ppid: ppidOf(bench, HOME) }));

const forgedPlatforms: readonly PlatformCase[] = [
  platformCase(
    'ppid-signed-by-own-key',
    'The PCK certificate names the victim’s platform; the broken machine signed it itself.',
    'CERTIFICATE_SIGNATURE_INVALID',
    {
      make: withPpidOfHome((bench, extension) =>
        bench.pckLeaf({ sgxExtension: extension }, bench.pki.platform(BROKEN).pck.key),
      ),
    },
  ),
  platformCase(
    'ppid-of-another-pki',
    'A PKI of the thief’s own issues a certificate with the victim’s PPID.',
    'ROOT_NOT_TRUSTED',
    {
      make: (bench) =>
        bench.evidence({
          quote: bench.stranger.quote({
            reportData: new Uint8Array(64),
            facts: { ppid: ppidOf(bench, HOME) },
          }),
        }),
    },
  ),
  platformCase(
    'certificate-of-the-victim',
    'The victim’s PCK chain on a quote of the broken machine.',
    'QE_REPORT_SIGNATURE_INVALID',
    {
      make: (bench) => {
        const { certificationPem } = bench.pki.platform(HOME);
        return bench.quote((parts) => ({ ...parts, certificationPem }), { platform: BROKEN });
      },
    },
  ),
  platformCase(
    'attestation-key-of-the-broken-machine',
    'Everything of the victim’s machine, but signed by the attestation key of the broken one.',
    'QE_REPORT_DATA_MISMATCH',
    {
      make: (bench) => {
        const { attestationKey } = bench.pki.platform(BROKEN);
        return bench.quote((parts) => ({ ...parts, attestationKey }));
      },
    },
  ),
];

const boundCases: readonly PlatformCase[] = [
  platformCase('bound-home', 'The machine that the key is bound to.', 'allowed', { make: byHome }),
  platformCase('bound-broken', 'A genuine quote of another machine.', 'PLATFORM_REFUSED', {}),
  platformCase(
    'bound-processor-ca',
    'The machine of the same number under the Processor CA has another PPID.',
    'PLATFORM_REFUSED',
    {
      make: (bench) => ({
        ...bench.asked({ ca: 'processor' }),
        collateral: bench.pki.collateral({ nowMs: bench.nowMs, ca: 'processor' }),
      }),
    },
  ),
  platformCase('bound-ppid-bit', 'A PPID that differs in one bit.', 'PLATFORM_REFUSED', {
    make: like(({ ppid }) => ({ ppid: ppid.map((byte, at) => (at === 15 ? byte ^ 1 : byte)) })),
  }),
  platformCase(
    'bound-factory-reset',
    'The same board after a factory reset: the same instance id, another PPID.',
    'PLATFORM_REFUSED',
    { make: like(({ ppid }) => ({ ppid: ppid.toReversed() })) },
  ),
  platformCase(
    'bound-other-instance-id',
    'The instance id names no platform: the same PPID with another one is the same machine.',
    'allowed',
    { make: like(() => ({ platformInstanceId: new Uint8Array(16).fill(9) })) },
  ),
  platformCase('bound-endorsed', 'An endorsement is no move.', 'PLATFORM_REFUSED', {
    lists: (bench) => endorsed(nameOf(bench, BROKEN)),
  }),
  platformCase('bound-revoked-home', 'The own machine, revoked.', 'PLATFORM_REVOKED', {
    make: byHome,
    lists: (bench) => ({ revoked: [nameOf(bench, HOME)] }),
  }),
];

const moveCases: readonly PlatformCase[] = [
  platformCase('move', 'A move to this machine.', 'allowed', { lists: moveOf }),
  platformCase('move-other-account', 'A move of another account.', 'PLATFORM_REFUSED', {
    lists: (bench) => moveOf(bench, { account: SOMEBODY }),
  }),
  platformCase('move-back', 'A move in the other direction.', 'PLATFORM_REFUSED', {
    lists: (bench) => moveOf(bench, { from: nameOf(bench, BROKEN), to: nameOf(bench, HOME) }),
  }),
  platformCase(
    'move-from-elsewhere',
    'A move from a platform that the key is not bound to.',
    'PLATFORM_REFUSED',
    {
      lists: (bench) => moveOf(bench, { from: nameOf(bench, 1) }),
    },
  ),
  platformCase('move-to-elsewhere', 'A move to another machine than this.', 'PLATFORM_REFUSED', {
    lists: (bench) => moveOf(bench, { to: nameOf(bench, 1) }),
  }),
  platformCase('move-by-ppid', 'A move that names PPIDs instead of their hashes.', 'PLATFORM_REFUSED', {
    lists: (bench) => moveOf(bench, { to: toPrefixedHex(ppidOf(bench, BROKEN)) }),
  }),
  platformCase('move-to-revoked', 'A move to a revoked machine.', 'PLATFORM_REVOKED', {
    lists: (bench) => ({ ...moveOf(bench), revoked: [nameOf(bench, BROKEN)] }),
  }),
  platformCase('move-from-revoked', 'A move away from a revoked machine.', 'allowed', {
    lists: (bench) => ({ ...moveOf(bench), revoked: [nameOf(bench, HOME)] }),
  }),
];

const recoverEndorsed = { platforms: { recover: 'endorsed' } };
const endorsedCases: readonly PlatformCase[] = [
  platformCase('endorsed', 'A machine on the list.', 'allowed', {
    ...recoverEndorsed,
    lists: (bench) => endorsed(nameOf(bench, BROKEN)),
  }),
  platformCase('endorsed-not', 'A machine that is not on the list.', 'PLATFORM_NOT_ENDORSED', {
    ...recoverEndorsed,
    lists: (bench) => endorsed(nameOf(bench, HOME)),
  }),
  platformCase('endorsed-home-not', 'The own machine is not on the list.', 'PLATFORM_NOT_ENDORSED', {
    ...recoverEndorsed,
    make: byHome,
  }),
  platformCase('endorsed-by-ppid', 'The list has the PPID instead of its hash.', 'PLATFORM_NOT_ENDORSED', {
    ...recoverEndorsed,
    lists: (bench) => endorsed(toPrefixedHex(ppidOf(bench, BROKEN))),
  }),
  platformCase('endorsed-and-revoked', 'A machine on both lists.', 'PLATFORM_REVOKED', {
    ...recoverEndorsed,
    lists: (bench) => ({ ...endorsed(nameOf(bench, BROKEN)), revoked: [nameOf(bench, BROKEN)] }),
  }),
  platformCase('endorsed-move', 'A move is no endorsement.', 'PLATFORM_NOT_ENDORSED', {
    ...recoverEndorsed,
    lists: moveOf,
  }),
  platformCase('any', 'Any machine: what trust.platforms is against.', 'allowed', {
    platforms: { recover: 'any' },
  }),
  platformCase('any-revoked', 'Any machine but a revoked one.', 'PLATFORM_REVOKED', {
    platforms: { recover: 'any' },
    lists: (bench) => ({ revoked: [nameOf(bench, BROKEN)] }),
  }),
];

const revokedBroken = (bench: TamperBench): Partial<Lists> => ({ revoked: [nameOf(bench, BROKEN)] });
const roleCases: readonly PlatformCase[] = [
  platformCase('new-key', 'A new key for any machine.', 'allowed', { request: 'new-key' }),
  platformCase('new-key-revoked', 'A new key for a revoked machine.', 'PLATFORM_REVOKED', {
    request: 'new-key',
    lists: revokedBroken,
  }),
  platformCase('new-key-not-endorsed', 'A new key where clients must be endorsed.', 'PLATFORM_NOT_ENDORSED', {
    request: 'new-key',
    platforms: { clients: 'endorsed' },
  }),
  platformCase('server', 'A slot at any registered server.', 'allowed', { request: 'new-server' }),
  platformCase('server-revoked', 'A slot at a revoked server.', 'PLATFORM_REVOKED', {
    request: 'new-server',
    lists: revokedBroken,
  }),
  platformCase('server-not-endorsed', 'A slot where servers must be endorsed.', 'PLATFORM_NOT_ENDORSED', {
    request: 'new-server',
    platforms: { servers: 'endorsed' },
  }),
  platformCase(
    'holder-not-endorsed',
    'A key from a server that is not endorsed: it counts within the limit for all such servers together.',
    'allowed',
    { request: 'holder', platforms: { servers: 'endorsed' } },
  ),
  platformCase(
    'holder-revoked',
    'A key from a revoked server: it counts within the limit for all revoked servers together.',
    'allowed',
    { request: 'holder', platforms: { servers: 'endorsed' }, lists: revokedBroken },
  ),
];

/** What the rules about platforms have to refuse, although the quote is genuine; and PPIDs that are not. */
export const platformCases: readonly PlatformCase[] = [
  ...forgedPlatforms,
  ...boundCases,
  ...moveCases,
  ...endorsedCases,
  ...roleCases,
];
