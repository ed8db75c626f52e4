import { equalBytes } from '../bytes/concat.ts';
import type { Config } from '../config/schema.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { NodeDirectory } from '../secrets/client/secret-client.ts';
import { measurementPolicyOf } from '../trust/trust-section.ts';
import { buildVetting } from './build-guardian.ts';
import { ChainWatch } from './chain-watch.ts';
import { fleetWatchOf } from './fleet-watch.ts';
import type { NodeParts } from './parts.ts';

/**
 * The nodes of the ring for one of its users: those that the chain registers, each attested by the rules of the trust
 * section before anything is sealed to it.
 * @param measurement 32 bytes: the image that the user accepts; without it the trust section has to pin one.
 * @throws ProblemError CONFIG_INVALID, CHAIN_UNAVAILABLE.
 */
export async function openUserDirectory(
  config: Config,
  parts: NodeParts,
  measurement: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<NodeDirectory & { close(): void }> {
  const { chain, clock } = parts;
  const watch = new ChainWatch({
    chain,
    clock,
    maxAgeMs: config.trust.freshness.chainHeadMaxAgeMs,
    onSnapshot: () => undefined,
  });
  const fleet = fleetWatchOf(config, parts, watch, () => undefined);
  const snapshot = await chain.snapshot();
  watch.take(snapshot);
  await fleet?.refresh(signal);
  const ownMeasurement = measurement ?? pinnedMeasurement(config);
  const { vetter } = buildVetting(config, parts, { ownMeasurement, watch, fleet });
  const records = snapshot.servers.filter(({ active }) => active);
  return {
    nodes: async () => records,
    attest: async ({ account }) => {
      const record = records.find((candidate) => equalBytes(candidate.account, account));
      if (record === undefined) throw new RangeError('the node is not in this directory');
      await vetter.vet(record, snapshot, signal);
    },
    close: () => watch.close(),
  };
}

function pinnedMeasurement({ trust }: Config): Uint8Array {
  const policy = measurementPolicyOf(trust);
  const [first] = policy.kind === 'pinned' ? policy.accepted : [];
  if (first !== undefined) return first;
  throw new ProblemError('CONFIG_INVALID', 'nothing says which image the nodes have to run', {
    field: 'trust.measurement',
    hint: 'name its measurement id by --measurement, from a source of your own',
  });
}
