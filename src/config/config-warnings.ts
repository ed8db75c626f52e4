import { permissionWarnings } from './file-permissions.ts';
import type { Config } from './schema.ts';

/** With this many servers a store has 5 slots, and 3 of them can be required. */
const SERVERS_FOR_THREE = 5;

/**
 * What is allowed and still worth a second look, as sentences for the operator.
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
  if (knownServers < SERVERS_FOR_THREE || trust.minimumThreshold !== 2) return [];
  return [
    `trust.minimumThreshold: the chain shows ${knownServers} servers, and 2 of them suffice to open a keyslot file; ` +
      'set 3, so that a chain that shows fewer servers cannot lower it',
  ];
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
