import { equalBytes } from '../../src/bytes/concat.ts';
import { KeyslotDisk } from '../../src/keyslots/keyslot-disk.ts';
import { KEYSLOTS, type SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';

/** A key of a closed store at a running server. */
interface HeldByServer {
  readonly server: SimulatedNode;
  readonly boots: number;
  readonly holds: () => boolean;
}

/** What servers held for nodes when these went down; they must keep it. */
export class KeptKeys {
  readonly #network: SimulatedNetwork;
  readonly #kept = new Map<SimulatedNode, readonly HeldByServer[]>();

  constructor(network: SimulatedNetwork) {
    this.#network = network;
  }

  /** To be called when a node has gone down: notes which keys of its keyslot file live. */
  async wentDown(node: SimulatedNode): Promise<void> {
    const { nodes, world } = this.#network;
    this.#kept.delete(node);
    const file = await new KeyslotDisk(node.disk, KEYSLOTS).read().catch(() => undefined);
    if (file === undefined) return;
    const slots = file.generations.flatMap((generation) => generation.slots);
    const held = slots.flatMap(({ server: account, slotId }): HeldByServer[] => {
      const server = nodes.find(
        ({ open }) => open !== undefined && equalBytes(open.identity.account, account),
      );
      const boots = server?.boots ?? 0;
      const holds = () =>
        server?.keyServer?.vault.find(file.account, slotId, world.clock.nowMs()) !== undefined;
      return server !== undefined && holds() ? [{ server, boots, holds }] : [];
    });
    this.#kept.set(node, held);
  }

  /** Promises nothing more about a node's keys. */
  forget(node: SimulatedNode): void {
    this.#kept.delete(node);
  }

  /** Whether a server holds a key that a node had there when it went down. */
  isHeldBy(server: SimulatedNode, node: SimulatedNode): boolean {
    return (this.#kept.get(node) ?? []).some((held) => held.server === server && held.holds());
  }

  /** Invariant: as long as a store is closed, no server that runs on loses a key of its keyslot file. */
  check(): void {
    for (const [node, held] of this.#kept) {
      if (node.open !== undefined) {
        this.#kept.delete(node);
        continue;
      }
      for (const { server, boots, holds } of held) {
        if (server.boots === boots && server.isRunning && !holds()) {
          this.#network.world.fail(
            `${server.name} lost a key of ${node.name} without having lost its memory`,
          );
        }
      }
    }
  }
}
