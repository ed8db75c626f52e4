import { readFileSync } from 'node:fs';
import type { DevelopmentNetwork } from '../../devnet/network.ts';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { buildParts } from '../../src/node/parts.ts';
import { openUserDirectory } from '../../src/node/user-directory.ts';
import { silentLog } from '../../src/observe/log.ts';
import type { NodeDirectory } from '../../src/secrets/client/secret-client.ts';
import { insecureTrustRoot } from '../../src/tdx/verify-quote.ts';
import { measurementId } from '../../src/trust/measurement.ts';

/** The nodes of a development network as a user sees them now; what it has read of the chain grows old. */
export async function directoryOf(
  net: Pick<DevelopmentNetwork, 'spareConfigFile' | 'rootFile'>,
): Promise<NodeDirectory & { close(): void }> {
  const config = loadConfig(readFileSync(net.spareConfigFile, 'utf8'), {});
  const trustRoot = insecureTrustRoot(readFileSync(net.rootFile, 'utf8'));
  const parts = buildParts(config, { log: silentLog, trustRoot });
  const image = measurementId(developmentMeasurements);
  const directory = await openUserDirectory(config, parts, image, new AbortController().signal);
  return {
    nodes: () => directory.nodes(),
    attest: (node) => directory.attest(node),
    close() {
      directory.close();
      void parts.chain[Symbol.asyncDispose]();
      void parts.collateral.close();
      void parts.earlyCollateral?.close();
    },
  };
}
