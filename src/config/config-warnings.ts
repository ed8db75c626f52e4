import { thresholdWarning } from '../keyslots/threshold.ts';
import { permissionWarnings } from './file-permissions.ts';
import type { Config } from './schema.ts';

/**
 * Warnings about allowed but risky values of a configuration, as sentences for the operator.
 * @param knownServers how many active servers the chain shows, where that was asked.
 */
export async function configWarnings(config: Config, knownServers?: number): Promise<readonly string[]> {
  return [
    ...thresholdWarnings(config, knownServers),
    ...endpointWarnings(config),
    ...(await secretFileWarnings(config)),
  ];
}

function thresholdWarnings({ trust }: Config, knownServers = 0): readonly string[] {
  const warning = thresholdWarning(trust.minimumThreshold, knownServers);
  return warning === undefined ? [] : [warning];
}

function endpointWarnings({ trust, chain }: Config): readonly string[] {
  if (trust.chain.checkpoint !== undefined || chain.agreement > 1) return [];
  return [
    'trust.chain.checkpoint: without it one endpoint of chain.endpoints is believed in everything; `latchkey trust checkpoint` prints one',
  ];
}

async function secretFileWarnings({ decryptions }: Config): Promise<readonly string[]> {
  const authorization = decryptions?.writeAuthorization;
  if (authorization?.kind !== 'bearer') return [];
  return permissionWarnings('decryptions.writeAuthorization.tokenFile', authorization.tokenFile);
}
