import {
  ANY_PLATFORM_RECOVERS,
  choosesImagesByEndpoints,
  IMAGES_BY_ENDPOINTS,
} from '../config/config-warnings.ts';
import { platformPolicyOf, type TrustSection } from '../trust/trust-section.ts';
import type { NodeParts } from './parts.ts';

/** Logs at each start what weakens the node. */
export function warnAtStart(
  { log, verifier, metrics }: Pick<NodeParts, 'log' | 'verifier' | 'metrics'>,
  trust: TrustSection,
): void {
  if (!verifier.trustRoot.isIntel) {
    metrics.insecure.set(1);
    log('warn', 'trust.insecure-root', {
      message: 'INSECURE: quotes are verified up to an injected root, not Intel’s. For development only.',
    });
  }
  if (platformPolicyOf(trust).recover === 'any')
    log('warn', 'trust.platforms-any', { message: ANY_PLATFORM_RECOVERS });
  if (choosesImagesByEndpoints(trust))
    log('warn', 'trust.images-by-endpoints', { message: IMAGES_BY_ENDPOINTS });
}
