import type { Guardian } from '../boot/life/guardian.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { NodeFace } from '../http/node-routes.ts';
import type { Log } from '../observe/log.ts';
import type { ServerNews } from '../protocol/not-enrolled.ts';
import type { NewsAnswers, NewsHeard } from './hear-news.ts';
import type { NodeFleet } from './node-fleet.ts';
import type { NodeReport } from './node-report.ts';

/** The parts of a node that its open port shows. */
interface ShownParts {
  readonly report: NodeReport;
  readonly fleet: NodeFleet;
  readonly news: NewsAnswers;
  readonly log: Log;
  readonly guardian: () => Guardian | undefined;
  /** @throws ProblemError NODE_LOCKED while the store is closed. */
  readonly openNode: () => OpenNode;
}

/** What other machines may read of a node, and what they may tell it. */
export class OpenPortFace implements NodeFace {
  readonly #parts: ShownParts;

  constructor(parts: ShownParts) {
    this.#parts = parts;
  }

  info(): Readonly<Record<string, unknown>> {
    return this.#parts.report.info();
  }

  fleet(known: string | undefined): object {
    return this.#parts.fleet.watch?.answer(known) ?? { manifests: [] };
  }

  accepts(asked: Parameters<NodeFleet['accepts']>[0]): object {
    const { fleet, report } = this.#parts;
    const acceptance = fleet.accepts(asked);
    if (acceptance === undefined) throw report.lockedProblem();
    return acceptance;
  }

  readiness(): { readonly ready: boolean; readonly report: Readonly<Record<string, unknown>> } {
    return this.#parts.report.readiness();
  }

  /**
   * A server says that its memory is gone, or that it drains: if it held a slot of ours, look at once; if not, tell it
   * so with the account's signature. Nothing authenticates it; what the look proves decides.
   * @param address of the peer; `undefined` on a Unix socket.
   * @throws ProblemError NODE_LOCKED while this node cannot tell; the server asks again. And what `NewsAnswers` throws.
   */
  hear(news: ServerNews, address: string | undefined): NewsHeard {
    const { news: answers, openNode, log, guardian } = this.#parts;
    const heard = answers.hear(openNode(), news, address);
    if (!heard.enrolled) return heard;
    const server = encodeSs58(news.server);
    if ('nonce' in news) {
      log('debug', 'server.said-draining', { server });
      guardian()?.look();
    } else {
      log('info', 'server.restarted', { server });
      guardian()?.nudge();
    }
    return heard;
  }
}
