import { ServerVetter } from '../../src/boot/obtain/vet-server.ts';
import type { PeerClient } from '../../src/boot/peer/peer-client.ts';
import { Judge } from '../../src/keyserver/judge.ts';
import { TcbGrace } from '../../src/keyserver/tcb-grace.ts';
import { EvidenceVerifier } from '../../src/keyserver/verify.ts';
import { TokenBuckets } from '../../src/time/token-buckets.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { PlatformRules } from '../../src/trust/platform-rules.ts';
import { tdPolicyOf } from '../../src/trust/trust-section.ts';
import { ownBody, type SimulatedWorld } from './simulated-network-world.ts';

/** A vetter as a machine of a simulated network has it, for tests that run a single recovery or enrolment. */
export function simulatedVetter(world: SimulatedWorld, client: PeerClient): ServerVetter {
  const { clock, verifier, collateral, config } = world;
  const { trust, limits } = config;
  const now = () => clock.nowMs();
  const evidenceVerifier = new EvidenceVerifier({ verifier, collateral, now });
  const judge = new Judge({
    trust,
    tdPolicy: tdPolicyOf(trust),
    ownMeasurement: measurementId(ownBody),
    chain: () => ({ acceptedMeasurements: [], hasDeparted: () => false }),
    grace: new TcbGrace({ graceMs: trust.freshness.tcbGraceMs }),
    now,
    platformRate: new TokenBuckets(limits.perPlatform),
    platforms: new PlatformRules(trust, () => world.platformLists),
  });
  const bounds = { maxAgeMs: trust.freshness.attestationMaxAgeMs, blockTimeMs: 6_000 };
  return new ServerVetter({ verifier, evidenceVerifier, judge, client, clock, bounds });
}
