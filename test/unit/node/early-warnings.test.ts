import { describe, expect, it } from 'vitest';
import { assembleCollateral } from '../../../mock-tdx/collateral/collateral-parts.ts';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import type { PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import { AccountId, BlockHash, InstanceId, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import type { CollateralSource } from '../../../src/collateral/collateral-source.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { EarlyWarnings, serversOfStore } from '../../../src/node/early-warnings.ts';
import { Metrics } from '../../../src/observe/metrics.ts';
import { parseCollateralDocuments } from '../../../src/tdx/collateral.ts';
import { defaultPolicy } from '../../../src/tdx/policy.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { ManualClock, settle } from '../../support/collateral-world.ts';
import { recoveryOf } from '../../support/tcb-recovery.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const HOUR_MS = 3_600_000;
const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(3) });
const patched = Uint8Array.of(5, 1, 9, ...new Array<number>(13).fill(0));
const unpatched = Uint8Array.of(5, 1, 8, ...new Array<number>(13).fill(0));
const quoteOf = (teeTcbSvn: Uint8Array): Uint8Array =>
  pki.quote({ reportData: new Uint8Array(64), body: { teeTcbSvn } });

/** A source with one set; `undefined` means an outage. */
function sourceOf(documents: () => object | undefined): CollateralSource {
  const source = {
    graceMs: 0,
    collateralFor: async () => {
      const set = documents();
      if (set === undefined) throw new ProblemError('COLLATERAL_UNAVAILABLE', 'no usable collateral');
      return { documents: parseCollateralDocuments(set), state: 'fresh' as const, validUntilMs: NOW_MS };
    },
    status: () => [],
    close: async () => undefined,
  };
  return { ...source, [Symbol.asyncDispose]: source.close };
}

const server = (number: number): PeerRecord => ({
  account: AccountId.of(new Uint8Array(32).fill(number)),
  x25519PublicKey: X25519PublicKey.of(new Uint8Array(32).fill(number)),
  endpoint: `10.0.0.${number}:3001`,
});

function world() {
  const today = pki.collateral({ nowMs: NOW_MS });
  const parts = pki.collateralParts({ nowMs: NOW_MS });
  const recovered = assembleCollateral({
    ...parts,
    tcbInfo: { ...parts.tcbInfo, content: recoveryOf(parts.tcbInfo.content) },
  });
  const events: { readonly level: string; readonly event: string; readonly fields: unknown }[] = [];
  const state = {
    early: recovered as object | undefined,
    own: unpatched,
    servers: new Map<string, Uint8Array | Error>(),
    ownQuotes: 0,
  };
  const clock = new ManualClock(NOW_MS);
  const metrics = new Metrics();
  const warnings = new EarlyWarnings({
    early: sourceOf(() => state.early),
    collateral: sourceOf(() => today),
    verifier: new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) }),
    policy: defaultPolicy,
    quotes: {
      quote: async () => {
        state.ownQuotes += 1;
        return quoteOf(state.own);
      },
    },
    client: {
      attestation: async (record) => {
        const svn = state.servers.get(record.endpoint) ?? new Error('unreachable');
        if (svn instanceof Error) throw svn;
        return {
          server: record.account,
          x25519PublicKey: record.x25519PublicKey,
          instanceId: InstanceId.of(new Uint8Array(16)),
          finalized: { number: 1, hash: BlockHash.of(new Uint8Array(32)) },
          quote: quoteOf(svn),
        };
      },
    },
    random: (length) => new Uint8Array(length),
    clock,
    log: (level, event, fields) => events.push({ level, event, fields }),
    metrics,
  });
  const servers = [1, 2, 3, 4, 5].map(server);
  for (const { endpoint } of servers) state.servers.set(endpoint, patched);
  return { warnings, servers, state, events, metrics, clock, today };
}

const signal = new AbortController().signal;

describe('early warnings of a node', () => {
  it('report for the own machine and its servers the future refusal, its date and the shortfalls', async () => {
    const { warnings, servers, state, events, metrics } = world();
    expect(warnings.status()).toBeUndefined();
    for (const number of [2, 4]) state.servers.set(`10.0.0.${number}:3001`, unpatched);
    expect(await warnings.look(servers, signal)).toBe(true);
    expect(warnings.summary()).toMatch(
      /^this machine will be refused from about 2027-08-12: TCB_STATUS_REFUSED: .*; 2 of your 5 servers will be refused from about 2027-08-12$/,
    );
    expect(warnings.status()).toMatchObject({
      checkedAt: new Date(NOW_MS).toISOString(),
      own: {
        refused: true,
        refusedFrom: '2027-08-12T00:00:00.000Z',
        code: 'TCB_STATUS_REFUSED',
        tcbEvaluationDataNumbers: { tcbInfo: 21, qeIdentity: 20 },
        shortfalls: [{ part: 'TDX component 3 (TDX Late Microcode Update)', shortBy: 1 }],
      },
      servers: [false, true, false, true, false].map((refused) => ({ refused })),
    });
    expect(events.map(({ level, event }) => [level, event])).toEqual([['warn', 'tcb.early-warning']]);
    const text = await metrics.text();
    expect(text).toContain('latchkey_tcb_warnings{machines="own"} 1\n');
    expect(text).toContain('latchkey_tcb_warnings{machines="servers"} 2\n');
    expect(text).toContain(
      `latchkey_tcb_refused_from_seconds{machines="servers"} ${Date.UTC(2027, 7, 12) / 1000}\n`,
    );
    // Accounts are in the status and in the event, and never in a metric.
    expect(JSON.stringify(warnings.status())).toContain(encodeSs58(server(2).account));
    expect(text).not.toContain(encodeSs58(server(2).account));
  });

  it('are reported once, again after a change, and when they end', async () => {
    const { warnings, servers, state, events, metrics } = world();
    await warnings.look(servers, signal);
    await warnings.look(servers, signal);
    expect(events).toHaveLength(1);
    state.servers.set('10.0.0.3:3001', unpatched);
    await warnings.look(servers, signal);
    expect(events).toHaveLength(2);
    state.own = patched;
    state.servers.set('10.0.0.3:3001', patched);
    await warnings.look(servers, signal);
    expect(events.map(({ event }) => event)).toEqual([
      'tcb.early-warning',
      'tcb.early-warning',
      'tcb.warning-over',
    ]);
    expect(warnings.summary()).toBe('');
    expect(await metrics.text()).toContain('latchkey_tcb_warnings{machines="own"} 0\n');
    expect(await metrics.text()).not.toMatch(/latchkey_tcb_refused_from_seconds\{/);
  });

  it('treat a server that does not answer or lies as unknown, and still judge the others', async () => {
    const { warnings, servers, state } = world();
    state.servers.set('10.0.0.1:3001', new Error('unreachable'));
    state.servers.set('10.0.0.2:3001', Uint8Array.of(5, 9, 8, ...new Array<number>(13).fill(0)));
    state.servers.set('10.0.0.3:3001', unpatched);
    expect(await warnings.look(servers, signal)).toBe(false);
    const status = warnings.status();
    expect(status?.['servers']).toMatchObject([
      { unknown: 'unreachable' },
      { refused: true, code: 'TDX_MODULE_MISMATCH', refusedFrom: new Date(NOW_MS).toISOString() },
      { refused: true },
      { refused: false },
      { refused: false },
    ]);
    expect(warnings.summary()).toContain('2 of your 5 servers will be refused from about 2026-11-21');
  });

  it('do not exist when the early collateral is unavailable or equals the present one', async () => {
    const { warnings, servers, state, events, today } = world();
    state.early = undefined;
    expect(await warnings.look(servers, signal)).toBe(false);
    expect(warnings.status()).toMatchObject({ summary: '', own: { unknown: 'no usable collateral' } });
    state.early = today;
    expect(await warnings.look(servers, signal)).toBe(true);
    expect(warnings.status()).toMatchObject({ summary: '', own: { refused: false } });
    expect(events).toEqual([]);
  });

  it('are checked every few hours, sooner after a failure, and until the node stops', async () => {
    const { warnings, servers, state, clock } = world();
    const stop = new AbortController();
    let asked = 0;
    const running = warnings.run(async () => {
      asked += 1;
      // The chain may be unreachable for a while: this machine is judged nevertheless.
      if (asked === 1) throw new Error('no chain');
      return servers;
    }, stop.signal);
    await settle();
    expect(state.ownQuotes).toBe(1);
    await clock.advance(HOUR_MS);
    expect(state.ownQuotes).toBe(1);
    state.early = undefined;
    await clock.advance(5 * HOUR_MS);
    expect([asked, state.ownQuotes]).toEqual([2, 2]);
    await clock.advance(HOUR_MS);
    expect(state.ownQuotes).toBe(3);
    stop.abort();
    await running;
    expect(state.ownQuotes).toBe(3);
  });

  it('cover the registered servers that hold a slot', async () => {
    const [first, second, third] = [1, 2, 3].map(server);
    const slots = [first, third].map((record) => ({ server: record?.account }));
    const servers = [first, second];
    // Only what is asked of book and chain is here.
    const node = { book: { newest: { slots } } } as never;
    const chain = { snapshot: async () => ({ servers }) } as never;
    expect(await serversOfStore(node, chain)).toEqual([first]);
    expect(await serversOfStore({ book: { newest: undefined } } as never, chain)).toEqual([]);
  });
});
