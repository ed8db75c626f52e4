import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MockTdx, startMockTdx } from '../../../mock-tdx/server.ts';
import { runChecks } from '../../../src/conformance/check.ts';
import { clientChecks } from '../../../src/conformance/client/client-checks.ts';
import type { RunClient } from '../../../src/conformance/client/contract.ts';
import { ForeignClient } from '../../../src/conformance/client/foreign-client.ts';
import { knownQuotes } from '../../../src/conformance/client/known-quotes.ts';
import { brokenClient, type Defect } from '../../support/broken-client.ts';

/** How long a client waits for one answer, and how long one run may take, in milliseconds. */
const ANSWER_MS = 1_500;
const RUN_MS = 20_000;

let mockTdx: MockTdx;
let known: Awaited<ReturnType<typeof knownQuotes>>;
beforeAll(async () => {
  mockTdx = await startMockTdx();
  known = await knownQuotes(mockTdx.url);
});
afterAll(async () => {
  await mockTdx.close();
});

async function resultsOf(run: RunClient, names?: readonly string[]) {
  const client = new ForeignClient({ ...known, run, timeoutMs: ANSWER_MS });
  const checks = names === undefined ? clientChecks : clientChecks.filter(({ name }) => names.includes(name));
  return runChecks(checks, () => client);
}

/** Tries all rules on each broken client, not only those that must find it: a quarter of an hour. `npm run long` does. */
const triesAll = process.env['LATCHKEY_ALL_RULES'] === '1';

/** Each defect, and the rules that must find it: all of them, and with `LATCHKEY_ALL_RULES=1` no other rule. */
const brokenClients: readonly (readonly [string, readonly Defect[], readonly string[]])[] = [
  ['gives up', ['refuses-forget'], ['good-run', 'reserve-and-claim', 'attestation']],
  ['has no plain key', ['refuses-plain'], ['plain-key']],
  ['cannot update a lineage', ['refuses-update'], ['reserve-and-claim']],
  ['refuses every attestation', ['refuses-attest'], ['attestation']],
  [
    'does not check the MAC of answers',
    ['ignores-answer-mac'],
    [
      'answer-mac-wrong',
      'answer-mac-replayed',
      'answer-mac-covers-draining',
      'answer-mac-covers-extensions',
      'answer-mac-of-forget',
      'answer-mac-of-claim',
      'answer-mac-of-status',
    ],
  ],
  ['does not check the MAC of forget', ['ignores-mac-of-forget'], ['answer-mac-of-forget']],
  ['does not check the MAC of claim', ['ignores-mac-of-claim'], ['answer-mac-of-claim']],
  ['does not check the MAC of lineage-status', ['ignores-mac-of-lineage-status'], ['answer-mac-of-status']],
  ['leaves `draining` out of the MAC', ['mac-without-draining'], ['answer-mac-covers-draining']],
  ['leaves extensions out of the MAC', ['mac-without-extensions'], ['answer-mac-covers-extensions']],
  ['quotes for whoever answers', ['any-challenger'], ['challenge-of-another-server']],
  ['takes answers in another name', ['any-name-in-answer'], ['answer-of-another-server']],
  [
    'takes answers that do not open',
    ['takes-what-does-not-open'],
    ['answer-sealed-by-another', 'answer-replayed', 'answer-of-another-instance', 'answer-small-order'],
  ],
  ['does not bind the challenge', ['nonce-not-bound'], ['report-data']],
  ['has one challenge for all', ['one-nonce-for-all'], ['challenge-bound']],
  ['reuses its ephemeral key', ['one-ephemeral-key'], ['ephemeral-key-fresh']],
  ['reuses its slot id', ['one-slot-id'], ['slot-id-fresh']],
  ['recovers without proof', ['no-recovery-proof'], ['recovery-proof']],
  ['sends another time than its MAC covers', ['mac-of-another-time'], ['mac-request']],
  ['has a wrong clock', ['clock-off'], ['mac-time']],
  ['repeats its random bytes', ['one-random'], ['mac-random-fresh']],
  ['binds the lineage key to no slot', ['link-bound-to-no-slot'], ['link-seal']],
  ['does not confirm', ['never-confirms'], ['link-confirm']],
  ['sends another media type', ['text-plain'], ['request-form']],
  ['quotes what nobody signed', ['forged-quote'], ['quote-genuine']],
  ['follows redirects', ['follows-redirects'], ['redirect-302', 'redirect-307']],
  ['reads answers without limit', ['reads-everything'], ['answer-oversized']],
  ['retries without limit', ['retries-without-limit'], ['retry-bounded', 'retry-after']],
  ['ignores Retry-After', ['retries-at-once'], ['retry-after']],
  [
    'waits forever',
    ['waits-forever'],
    ['answer-missing', 'answer-drips', 'other-server-goes-on', 'silent-challenges', 'silent-key-requests'],
  ],
  ['waits as long as a head grows', ['waits-for-heads'], ['answer-drips']],
  ['waits as long as interim answers come', ['waits-for-interim'], ['answer-interim']],
  ['asks for challenges one after the other', ['challenges-in-turn'], ['silent-challenges']],
  ['asks for keys one after the other', ['requests-in-turn'], ['silent-key-requests']],
  ['crashes on lists in lists', ['crashes-when-nested'], ['answer-nested', 'error-nested']],
  [
    'ends when one server fails',
    ['one-ends-all'],
    ['other-server-goes-on', 'silent-challenges', 'silent-key-requests'],
  ],
  ['crashes on a page', ['crashes-without-json'], ['answer-not-json', 'error-not-json']],
  [
    'crashes on the network',
    ['crashes-when-cut'],
    [
      'redirect-302',
      'redirect-307',
      'answer-oversized',
      'answer-missing',
      'answer-cut',
      'answer-drips',
      'answer-interim',
      'other-server-goes-on',
      'silent-challenges',
      'silent-key-requests',
    ],
  ],
  ['prints keys', ['prints-key'], ['secrets-printed']],
  ['sends its token', ['sends-token'], ['secrets-sent']],
  [
    'trusts every attestation',
    ['attests-nothing'],
    [
      'attestation-forged',
      'attestation-of-another-key',
      'attestation-of-another-server',
      'attestation-debug',
      'attestation-old',
      'attestation-stale-collateral',
    ],
  ],
  [
    'does not verify the quote of an attestation',
    ['attests-unsigned'],
    ['attestation-forged', 'attestation-debug', 'attestation-stale-collateral'],
  ],
  [
    'does not compare what an attestation binds',
    ['attests-unbound'],
    ['attestation-of-another-key', 'attestation-of-another-server'],
  ],
  ['takes attestations of any age', ['attests-old'], ['attestation-old']],
  ['takes debug TDs', ['attests-debug'], ['attestation-debug']],
  ['takes expired collateral', ['attests-by-own-clock'], ['attestation-stale-collateral']],
  ['takes any key back', ['any-key-back'], ['recover-swapped-slot', 'recover-changed-key']],
  ['compares key ids alone', ['key-id-is-enough'], ['recover-changed-key']],
  ['does not look whether its slot is linked', ['link-not-checked'], ['link-not-shown']],
  ['does not look who has its number', ['reservation-not-checked'], ['reserve-taken']],
  ['does not see that it was replaced', ['claim-not-checked'], ['claim-replaced']],
  ['takes a kept key for erased', ['erased-not-checked'], ['forget-kept']],
  [
    'ignores unknown fields',
    ['unknown-fields'],
    ['challenge-unknown-field', 'answer-unknown-field', 'sealed-unknown-field'],
  ],
  ['reads any base64', ['any-base64'], ['answer-base64']],
  ['refuses unknown extensions', ['no-extensions'], ['extensions-unknown']],
  ['takes null for absent', ['null-is-absent'], ['sealed-null', 'answer-mac-null']],
  ['does not look at the finalized block', ['any-finalized'], ['sealed-finalized']],
  ['takes empty extensions', ['empty-extensions'], ['extensions-empty']],
  ['hides the codes of refusals', ['hides-codes'], ['refusal-told']],
  ['needs no token', ['no-token-needed'], ['create-without-token']],
  ['takes a key of somebody else for new', ['not-fresh'], ['create-not-fresh']],
  ['names keys anew each time', ['changing-key-ids'], ['key-id']],
  ['pads short values', ['pads-short-values'], ['challenge-short', 'sealed-short-key']],
];

describe('the checks of a foreign client', () => {
  it('are all kept by a client without defects', { timeout: 300_000 }, async () => {
    const results = await resultsOf(brokenClient([], RUN_MS));
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
    expect(results.length).toBe(clientChecks.length);
  });

  it('have names of their own', () => {
    const names = clientChecks.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(brokenClients)('find one that %s', { timeout: 300_000 }, async (_, defects, rules) => {
    const tried = triesAll ? undefined : rules;
    const failures = (await resultsOf(brokenClient(defects, RUN_MS), tried)).filter(({ ok }) => !ok);
    expect(failures.map(({ name }) => name)).toEqual(rules);
  });

  it('each find at least one of these', () => {
    const finding = new Set(brokenClients.flatMap(([, , rules]) => rules));
    expect(clientChecks.map(({ name }) => name).filter((name) => !finding.has(name))).toEqual([]);
  });

  it.each([
    ['prints no JSON', { stdout: 'ready' }],
    ['prints what the contract does not know', { stdout: '{"step":"create","server":"0x00","oks":true}' }],
    ['ends with an error', { exitCode: 3 }],
    ['does not end', { isLate: true }],
    ['says nothing', {}],
    ['does not know a step that all must know', { stdout: '{"step":"create","unsupported":true}' }],
  ])('find one that %s', async (_, change) => {
    const run: RunClient = async () => ({ exitCode: 0, stdout: '', stderr: '', isLate: false, ...change });
    expect(await resultsOf(run, ['good-run'])).toMatchObject([{ ok: false }]);
  });

  it.each([
    ['says that all is done', { ok: true, keyId: `0x${'07'.repeat(16)}` }],
    ['says that nothing can be done', { ok: false, reason: 'protocol' }],
    ['says nothing of any server', undefined],
  ])('all find one that asks nothing and %s', { timeout: 300_000 }, async (_, said) => {
    const run: RunClient = async ({ steps, servers }) => {
      const lines = steps.flatMap((step) =>
        servers.map(({ accountId: server }) => ({ step, server, ...said })),
      );
      const stdout = said === undefined ? '' : lines.map((line) => JSON.stringify(line)).join('\n');
      return { exitCode: 0, stdout, stderr: '', isLate: false };
    };
    expect((await resultsOf(run)).filter(({ ok }) => ok)).toEqual([]);
  });

  it('are not skipped by a step that the client was not told to do', async () => {
    const run: RunClient = async () => ({
      exitCode: 0,
      stdout: '{"step":"later","unsupported":true}',
      stderr: '',
      isLate: false,
    });
    const results = await resultsOf(run);
    expect(results.filter(({ ok, skipped }) => ok || skipped)).toEqual([]);
  });

  it('are skipped, and said to be, where a client does not know the step', async () => {
    const run: RunClient = async ({ steps }) => ({
      exitCode: 0,
      stdout: `{"step":"${steps[0]}","unsupported":true}`,
      stderr: '',
      isLate: false,
    });
    expect(await resultsOf(run, ['attestation'])).toMatchObject([{ ok: false, skipped: true }]);
  });
});
