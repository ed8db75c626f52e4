import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevelopmentChain, startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import { type MockTdx, startMockTdx } from '../../mock-tdx/server.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import type { FileSystem } from '../../src/disk/file-system.ts';
import { LatchkeyNode } from '../../src/node/latchkey-node.ts';
import { buildParts } from '../../src/node/parts.ts';
import type { Log } from '../../src/observe/log.ts';
import { insecureTrustRoot } from '../../src/tdx/verify-quote.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { eventually } from './chain-fixtures.ts';

/** One node of a network, all in this process and over real sockets. */
export interface RunningNode extends AsyncDisposable {
  readonly node: LatchkeyNode;
  readonly mockTdx: MockTdx;
  readonly chain: DevelopmentChain;
  /** The node's folder: store, keyslot file, socket. */
  readonly folder: string;
  /** `http://127.0.0.1:port`. */
  readonly url: string;
}

/**
 * Starts chain, mock-tdx and a node, and waits until the node serves. It is alone, so it is unbacked.
 * @param other.trust is added to its trust section.
 * @param other.beside the chain and the mock-tdx of this node are used, which is closed later; `platform` is then another one.
 */
export async function startRunningNode(
  log: Log,
  other: {
    readonly trust?: object;
    readonly fileSystem?: FileSystem;
    readonly beside?: RunningNode;
    readonly platform?: number;
  } = {},
): Promise<RunningNode> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-node-'));
  const { beside, platform = 1 } = other;
  const chain = beside?.chain ?? (await startDevelopmentChain({ blockTimeMs: 200, finalityLag: 1 }));
  const trust = { chain: { genesisHash: chain.genesisHash }, tcb: {}, ...other.trust };
  const measurements = { ...developmentMeasurements, mrConfigId: trustHash(parseTrustSection(trust)) };
  const mockTdx = beside?.mockTdx ?? (await startMockTdx({ measurements }));
  const local = { host: '127.0.0.1', port: 0 };
  const config = loadConfig(
    // JSON is YAML.
    JSON.stringify({
      node: { dataFolder: folder },
      listen: local,
      metrics: local,
      agent: { socketPath: join(folder, 'agent.sock') },
      chain: { endpoints: [chain.url] },
      quote: { source: 'development', url: mockTdx.url, platform },
      collateral: { endpoints: [mockTdx.url] },
      trust,
      healing: { retryMinMs: 100, retryMaxMs: 1000, formerClientsDeadlineMs: 0 },
      limits: { shutdownDeadlineMs: 100 },
    }),
    {},
  );
  const node = new LatchkeyNode(
    config,
    buildParts(config, {
      log,
      trustRoot: insecureTrustRoot(mockTdx.rootPem),
      ...(other.fileSystem === undefined ? {} : { fileSystem: other.fileSystem }),
    }),
  );
  await node.start();
  await eventually(() => node.keyServer);
  return {
    node,
    mockTdx,
    chain,
    folder,
    url: node.addresses.listen,
    async [Symbol.asyncDispose]() {
      await node.close();
      if (beside === undefined) {
        await mockTdx.close();
        await chain.close();
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
