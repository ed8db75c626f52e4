import { thresholdWarning } from '../keyslots/threshold.ts';
import { hasAuthority, platformPolicyOf, type TrustSection } from '../trust/trust-section.ts';
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
    ...imageWarnings(config),
    ...authorityWarnings(config),
    ...platformWarnings(config),
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

/** Said in the log at every start too. */
export const IMAGES_BY_ENDPOINTS =
  'ENDPOINTS CHOOSE THE IMAGES: trust.measurement.policy is "chain" and there is no trust.chain.checkpoint: the endpoints of chain.endpoints decide which images get keys, so a host that answers for them gets all keys that are here; `latchkey trust checkpoint` prints a checkpoint';

/** Whether endpoints that are believed choose the accepted measurements. */
export const choosesImagesByEndpoints = ({ measurement, chain }: TrustSection): boolean =>
  measurement.policy === 'chain' && chain.checkpoint === undefined;

const imageWarnings = ({ trust }: Config): readonly string[] =>
  choosesImagesByEndpoints(trust) ? [IMAGES_BY_ENDPOINTS] : [];

function authorityWarnings({ trust: { authority } }: Config): readonly string[] {
  if (authority === undefined) return [];
  return [
    ...(authority.threshold === 1
      ? ['trust.authority.threshold: with 1, a single stolen key is worth every store of the fleet']
      : []),
    ...(authority.threshold > authority.keys.length - 1
      ? ['trust.authority.threshold: the loss of one key ends all changes; keep the handover of keygen']
      : []),
    ...(authority.delayMs === 0
      ? ['trust.authority.delayMs: with 0 nobody has time to notice and to revoke a stolen manifest']
      : []),
  ];
}

/** Said in the log at every start too. */
export const ANY_PLATFORM_RECOVERS =
  'ANY MACHINE RECOVERS: trust.platforms.recover is "any" (also without trust.platforms): the attestation key of any one TDX machine in the world and a copy of the disk give all server keys of a node';

/** With "bound" and no authority for moves, a store ends with its machine. */
const NO_MOVE =
  'trust.platforms.recover is "bound" and there is no trust.authority: nobody can sign a move, so a store that is closed opens on its present platform only, and is lost with it';

function platformWarnings({ trust }: Config): readonly string[] {
  const { recover } = platformPolicyOf(trust);
  if (recover === 'any') return [ANY_PLATFORM_RECOVERS];
  return recover === 'bound' && !hasAuthority(trust) ? [NO_MOVE] : [];
}

async function secretFileWarnings({ decryptions }: Config): Promise<readonly string[]> {
  const authorization = decryptions?.writeAuthorization;
  if (authorization?.kind !== 'bearer') return [];
  return permissionWarnings('decryptions.writeAuthorization.tokenFile', authorization.tokenFile);
}
