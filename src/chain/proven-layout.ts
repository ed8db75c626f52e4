import type { RuntimeLayout } from './runtime-layout.ts';

/**
 * How records lie when they are read by proof: as Entropy's runtime 400 stores them, whatever an endpoint's metadata
 * say. Metadata is no part of the state, so it cannot be proven, and forged metadata could hide records that were.
 * Another form makes the read fail (CHAIN_SHAPE_UNKNOWN) until a release knows it.
 */
export const provenLayout: RuntimeLayout = {
  serverInfo: ['tssAccount', 'x25519PublicKey', 'endpoint', 'tdxQuote'],
  entropyTssIndex: 0,
  hasTimestamp: true,
};
