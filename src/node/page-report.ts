import type { OpenNode } from '../boot/node/open-node.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { type ErrorCode, errorCodes } from '../errors/codes.ts';
import type { PageData, ShownClient, ShownRefusal, ShownStatus } from '../http/page-data.ts';
import type { ChainWatch } from './chain-watch.ts';
import type { RemainingClient } from './drain.ts';
import type { NodeParts } from './parts.ts';
import type { Refusal } from './recent-refusals.ts';
import type { Serving } from './serving.ts';

/** Most clients that the page lists; the count is of all. */
const MAX_CLIENTS = 200;

/** What the page is made of. */
export interface PageParts {
  readonly clock: NodeParts['clock'];
  readonly collateral: Pick<NodeParts['collateral'], 'status'>;
  readonly chain: Pick<ChainWatch, 'finalized' | 'time'> | undefined;
  readonly open: OpenNode | undefined;
  readonly serving: (Pick<Serving, 'drain'> & Partial<Pick<Serving, 'refusals'>>) | undefined;
  /** The answer of `latchkey status --json`. */
  readonly status: Readonly<Record<string, unknown>>;
}

/** What the status page shows of a node. */
export async function pageData(parts: PageParts): Promise<PageData> {
  const { clock, collateral, serving, status } = parts;
  return {
    readAt: new Date(clock.nowMs()).toISOString(),
    // It has these fields: a test compares the two in every state.
    status: status as unknown as ShownStatus,
    ...(serving === undefined ? {} : { serving: clientsOf(serving.drain.remaining()) }),
    chain: chainOf(parts),
    collateral: collateral.status(),
    ...(await diskOf(parts.open)),
    refusals: (serving?.refusals?.list ?? []).map(shownRefusal),
  };
}

function chainOf({ chain, clock }: PageParts): PageData['chain'] {
  if (chain === undefined) return { block: 0 };
  const { chainMs } = chain.time();
  const age = chainMs === 0 ? {} : { ageMs: Math.max(0, clock.nowMs() - chainMs) };
  return { block: chain.finalized().number, ...age };
}

async function diskOf(open: OpenNode | undefined): Promise<Pick<PageData, 'disk'>> {
  // A store that is being closed has no health to tell.
  const health = await open?.store.health().catch(() => undefined);
  if (health === undefined) return {};
  const { diskBytes, liveBytes, freeBytes, takesWrites } = health;
  return {
    disk: {
      storeBytes: diskBytes,
      liveBytes,
      takesWrites,
      ...(freeBytes === undefined ? {} : { freeBytes }),
    },
  };
}

/** Those at risk first. */
function clientsOf(remaining: readonly RemainingClient[]): NonNullable<PageData['serving']> {
  const sorted = [...remaining].sort((a, b) => Number(b.isAtRisk) - Number(a.isAtRisk));
  const clients = sorted.slice(0, MAX_CLIENTS).map(
    ({ account, endpoint, keys, isAtRisk }): ShownClient => ({
      account: encodeSs58(account),
      ...(endpoint === undefined ? {} : { endpoint }),
      keys,
      isAtRisk,
    }),
  );
  return { clients, notListed: remaining.length - clients.length };
}

function shownRefusal({ atMs, code, detail, requestId }: Refusal): ShownRefusal {
  const meaning = Object.hasOwn(errorCodes, code) ? errorCodes[code as ErrorCode].summary : '';
  return { at: new Date(atMs).toISOString(), code, meaning, detail, requestId };
}
