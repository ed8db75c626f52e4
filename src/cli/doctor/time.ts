import type { ChainSnapshot } from '../../chain/chain-view.ts';
import { isServerEndpoint } from '../../chain/endpoint.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import type { NodeParts } from '../../node/parts.ts';
import { boundedFetch, type Fetch } from '../../outbound/bounded-fetch.ts';
import type { TrustSection } from '../../trust/trust-section.ts';
import type { Finding } from './finding.ts';

/** A new block is at most some seconds old; more than this is the clock, or a chain that stands still. */
const CLOCK_TOLERANCE_MS = 60_000;

/** How many registered servers are asked for their time, and how long each may take in milliseconds. */
const MOST_PEERS = 7;
const PEER_DEADLINE_MS = 3_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** What was found about chain and clock. */
export interface TimeFindings {
  readonly findings: readonly Finding[];
  /** How many active servers the chain shows; `undefined` when it could not be read. */
  readonly servers?: number;
}

/** Compares the clock with the newest block and with the registered servers, and looks how old the chain is. */
export async function timeFindings(
  { chain, clock, fetch: ask = fetch }: Pick<NodeParts, 'chain' | 'clock' | 'fetch'>,
  { freshness }: Pick<TrustSection, 'freshness'>,
): Promise<TimeFindings> {
  let snapshot: ChainSnapshot;
  try {
    snapshot = await chain.snapshot();
  } catch (error) {
    const text = error instanceof LatchkeyError ? `${error.code}: ${error.message}` : String(error);
    const advice = 'check chain.endpoints, and `latchkey status --explain` of the node';
    return { findings: [{ check: 'chain', level: 'wrong', text, advice }] };
  }
  const { block, servers } = snapshot;
  const active = servers.filter((server) => server.active);
  const endpoints = active.slice(0, MOST_PEERS).map(({ endpoint }) => endpoint);
  const aheadMs = await aheadOfPeers(endpoints, ask, () => clock.nowMs());
  return {
    servers: active.length,
    findings: [
      { check: 'chain', level: 'good', text: `block ${block.number}, ${active.length} active servers` },
      clockFinding(block.timestampMs, clock.nowMs()),
      peersFinding(endpoints.length, aheadMs, freshness.clockToleranceMs),
      chainAgeFinding(block.timestampMs, clock.nowMs() - (median(aheadMs) ?? 0), freshness.chainHeadMaxAgeMs),
    ],
  };
}

function clockFinding(blockTimeMs: number | undefined, nowMs: number): Finding {
  if (blockTimeMs === undefined)
    return { check: 'clock', level: 'warning', text: 'the chain tells no time to compare the clock with' };
  const differenceMs = nowMs - blockTimeMs;
  const text = `${Math.round(differenceMs / 1000)} s ahead of the newest finalized block`;
  if (Math.abs(differenceMs) <= CLOCK_TOLERANCE_MS) return { check: 'clock', level: 'good', text };
  const advice = 'set the clock (compare `date -u` with another machine), or look why the chain stands still';
  return { check: 'clock', level: 'wrong', text, advice };
}

/** These times are not signed: they tell an operator where to look, and decide nothing. */
function peersFinding(asked: number, aheadMs: readonly number[], toleranceMs: number): Finding {
  const differenceMs = median(aheadMs);
  if (differenceMs === undefined) {
    const text =
      asked === 0 ? 'no server on the chain to compare the clock with' : `none of ${asked} servers answers`;
    return { check: 'peers', level: 'warning', text, advice: 'check the network to the other servers' };
  }
  const text = `the clock is ${Math.round(differenceMs / 1000)} s ahead of ${aheadMs.length} of ${asked} servers (median)`;
  if (Math.abs(differenceMs) <= toleranceMs) return { check: 'peers', level: 'good', text };
  const advice =
    'set the clock: servers refuse what is ahead of them by more than trust.freshness.clockToleranceMs';
  return { check: 'peers', level: 'wrong', text, advice };
}

/** @param nowMs corrected by the servers, where they answer: a wrong clock makes no old chain. */
function chainAgeFinding(blockTimeMs: number | undefined, nowMs: number, maxAgeMs: number): Finding {
  if (blockTimeMs === undefined)
    return {
      check: 'chain-age',
      level: 'warning',
      text: 'the chain does not say how old its newest block is',
    };
  const ageMs = nowMs - blockTimeMs;
  const text = `the newest finalized block is ${Math.round(ageMs / 1000)} s old; nodes take none older than ${maxAgeMs / 1000} s`;
  if (ageMs <= maxAgeMs / 2) return { check: 'chain-age', level: 'good', text };
  const advice = 'look whether the chain finalizes blocks, and whether chain.endpoints follow it';
  return { check: 'chain-age', level: ageMs > maxAgeMs ? 'wrong' : 'warning', text, advice };
}

/** How far the own clock is ahead of each server that answers, by the header `Date` of HTTP, in milliseconds. */
async function aheadOfPeers(
  endpoints: readonly string[],
  ask: Fetch,
  nowMs: () => number,
): Promise<readonly number[]> {
  const answers = await Promise.all(
    endpoints.map(async (endpoint) => {
      // An address on the chain may be any text.
      if (!isServerEndpoint(endpoint)) return undefined;
      const url = `http://${endpoint}/healthz`;
      const before = nowMs();
      const answer = await boundedFetch(ask, {
        url,
        method: 'GET',
        timeoutMs: PEER_DEADLINE_MS,
        maxBytes: MAX_ANSWER_BYTES,
      });
      const dateMs = answer.ok ? Date.parse(answer.headers.get('date') ?? '') : Number.NaN;
      return Number.isNaN(dateMs) ? undefined : (before + nowMs()) / 2 - dateMs;
    }),
  );
  return answers.filter((answer) => answer !== undefined);
}

function median(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
}
