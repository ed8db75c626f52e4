import { join } from 'node:path';
import { PeerClient } from '../../src/boot/peer/peer-client.ts';
import type { Config } from '../../src/config/schema.ts';
import { LatchkeyNode, type NodeOptions } from '../../src/node/latchkey-node.ts';
import type { NodeParts } from '../../src/node/parts.ts';
import { MainLoop } from '../../src/observe/main-loop.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import type { Fetch } from '../../src/outbound/bounded-fetch.ts';
import { FlooredClock } from '../../src/time/clock.ts';
import { seededDice } from './disk-dice.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import type { SimulatedWorld } from './simulated-network-world.ts';
import { tempFolder } from './temp-folder.ts';

/** A real `LatchkeyNode`, listeners and all, on a simulated disk in a simulated world. */
export interface LoneNode extends AsyncDisposable {
  readonly node: LatchkeyNode;
  readonly disk: SimulatedDisk;
  readonly parts: NodeParts;
  readonly events: readonly { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[];
  /** Sends JSON to the open port. */
  post(path: string, body: unknown): Promise<{ readonly status: number; readonly json: unknown }>;
}

/** What a test may change of a {@link LoneNode}. */
export interface LoneNodeOptions extends NodeOptions {
  readonly config?: Partial<Config>;
  /** Done before every quote; may hang or fail. */
  readonly beforeQuote?: () => Promise<void>;
  readonly disk?: SimulatedDisk;
  /** Replaces the network for fleet manifests. */
  readonly fetch?: Fetch;
  /** Whether it asks the collateral of the world for early warnings too. */
  readonly warnsEarly?: boolean;
  /** Another number gives other random bytes: a second start must not draw the slot ids of the first. */
  readonly start?: number;
}

/** Builds a node that is not started yet. Time is the world's. */
export async function loneNode(world: SimulatedWorld, options: LoneNodeOptions = {}): Promise<LoneNode> {
  const folder = await tempFolder();
  const dice = seededDice(world.seed + 4_711 + (options.start ?? 0));
  const random = (length: number): Uint8Array => dice.bytes(length);
  const clock = new FlooredClock(world.clock);
  const disk = options.disk ?? new SimulatedDisk();
  const local = { host: '127.0.0.1', port: 0 };
  const config: Config = {
    ...world.config,
    listen: local,
    metrics: local,
    agent: { transit: false, socketPath: join(folder.path, 'agent.sock') },
    limits: { ...world.config.limits, shutdownDeadlineMs: 100 },
    ...options.config,
  };
  const events: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const { verifier, collateral, chain, pki, wire } = world;
  const transport = wire.transportFrom('lone');
  const parts: NodeParts = {
    log: (_level, event, fields = {}) => void events.push({ event, fields }),
    metrics: new Metrics(),
    mainLoop: new MainLoop(() => clock.monotonicMs()),
    clock,
    random,
    fileSystem: disk,
    verifier,
    collateral,
    ...(options.warnsEarly === true ? { earlyCollateral: collateral } : {}),
    chain: { ...chain, [Symbol.asyncDispose]: async () => undefined },
    quotes: {
      quote: async (reportData) => {
        await options.beforeQuote?.();
        const quote = pki.quote({ reportData, platform: 77, body: world.body });
        world.genuineQuotes.set(Buffer.from(quote).toString('base64'), 'lone');
        return quote;
      },
    },
    client: new PeerClient({ transport, clock, random, deadlineMs: config.healing.peerDeadlineMs }),
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
  };
  const node = new LatchkeyNode(config, parts, options);
  return {
    node,
    disk,
    parts,
    events,
    post: async (path, body) => {
      const reply = await fetch(`${node.addresses.listen}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return { status: reply.status, json: await reply.json() };
    },
    [Symbol.asyncDispose]: async () => {
      await node.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
