import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { configWarnings } from '../../config/config-warnings.ts';
import type { Config } from '../../config/schema.ts';
import type { UnmeasuredInput } from '../../config/unmeasured-environment.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import type { NodeParts } from '../../node/parts.ts';
import { examineOwnMachine, type SelfCheckParts } from '../../node/self-check.ts';
import { withDeadline } from '../../time/deadline.ts';
import { custodySetOf } from '../../trust/custody-set.ts';
import { platformHash } from '../../trust/platform-lists.ts';
import { platformPolicyOf } from '../../trust/trust-section.ts';
import { agentSocketOf, askAgent, readAgentJson } from './agent-client.ts';

/** What one check found. */
export interface Finding {
  readonly check:
    | 'clock'
    | 'chain'
    | 'configuration'
    | 'permissions'
    | 'socket'
    | 'trust-hash'
    | 'custody'
    | 'platform'
    | 'fleet'
    | 'environment';
  readonly level: 'good' | 'warning' | 'wrong';
  readonly text: string;
  /** What to do. */
  readonly advice?: string;
}

/** How long the quote source may take, in milliseconds. */
const QUOTE_DEADLINE_MS = 20_000;

/** How long the status of the node may take, in milliseconds. */
const STATUS_QUIET_MS = 10_000;

/** A new block is at most some seconds old; more than this is the clock, or a chain that stands still. */
const CLOCK_TOLERANCE_MS = 60_000;

/** Runs every check; none of them changes anything, and none throws. */
export async function findingsOf(
  config: Config,
  parts: Pick<NodeParts, 'chain'> & SelfCheckParts,
  unmeasured: readonly UnmeasuredInput[],
): Promise<readonly Finding[]> {
  const chain = await chainFindings(parts);
  return [
    ...chain.findings,
    ...(await configurationFindings(config, chain.servers)),
    ...(await permissionFindings(config)),
    socketFinding(config),
    custodyFinding(config),
    ...(await machineFindings(config, parts)),
    ...(await fleetFindings(config)),
    ...environmentFindings(unmeasured),
  ];
}

async function chainFindings({ chain, clock }: Pick<NodeParts, 'chain' | 'clock'>): Promise<{
  readonly findings: readonly Finding[];
  readonly servers?: number;
}> {
  try {
    const { block, servers } = await chain.snapshot();
    const active = servers.filter((server) => server.active).length;
    const text = `block ${block.number}, ${active} active servers`;
    return {
      findings: [{ check: 'chain', level: 'good', text }, clockFinding(block.timestampMs, clock.nowMs())],
      servers: active,
    };
  } catch (error) {
    const advice = 'check chain.endpoints, and `latchkey status --explain` of the node';
    return { findings: [{ check: 'chain', level: 'wrong', text: textOf(error), advice }] };
  }
}

function clockFinding(blockTimeMs: number | undefined, nowMs: number): Finding {
  if (blockTimeMs === undefined) {
    return { check: 'clock', level: 'warning', text: 'the chain tells no time to compare the clock with' };
  }
  const differenceMs = nowMs - blockTimeMs;
  const text = `${Math.round(differenceMs / 1000)} s ahead of the newest finalized block`;
  if (Math.abs(differenceMs) <= CLOCK_TOLERANCE_MS) return { check: 'clock', level: 'good', text };
  return {
    check: 'clock',
    level: 'wrong',
    text,
    advice: 'set the clock (compare `date -u` with another machine), or look why the chain stands still',
  };
}

async function configurationFindings(
  config: Config,
  servers: number | undefined,
): Promise<readonly Finding[]> {
  const warnings = await configWarnings(config, servers);
  return warnings.map((text) => ({ check: 'configuration', level: 'warning', text }));
}

async function permissionFindings({ node }: Config): Promise<readonly Finding[]> {
  const found = await stat(node.dataFolder).catch(() => undefined);
  if (found === undefined) {
    return [{ check: 'permissions', level: 'good', text: `${node.dataFolder} is not there yet` }];
  }
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  if ((found.mode & 0o022) === 0) {
    return [{ check: 'permissions', level: 'good', text: `${node.dataFolder} has mode ${mode}` }];
  }
  const text = `${node.dataFolder} has mode ${mode}: other users can replace files in it`;
  return [{ check: 'permissions', level: 'wrong', text, advice: `chmod go-w ${node.dataFolder}` }];
}

/** A path that is too long was refused when the configuration was read. */
const socketFinding = (config: Config): Finding => ({
  check: 'socket',
  level: 'good',
  text: `${agentSocketOf(config)} fits into a socket's address`,
});

/** What the own quote shows: whether MRCONFIGID is the trust hash, and which platform this is. */
async function machineFindings({ trust }: Config, parts: SelfCheckParts): Promise<readonly Finding[]> {
  try {
    const examined = await withDeadline(parts.clock, QUOTE_DEADLINE_MS, () =>
      examineOwnMachine(parts, trust),
    );
    if (examined === undefined)
      return [{ check: 'trust-hash', level: 'wrong', text: 'the quote source gave no quote in time' }];
    return [
      { check: 'trust-hash', level: 'good', text: 'MRCONFIGID of this machine is the trust hash' },
      platformFinding(trust, examined.ppid),
    ];
  } catch (error) {
    const isMismatch = error instanceof LatchkeyError && error.code === 'TRUST_HASH_MISMATCH';
    const hashes = isMismatch ? `; trust hash ${error.expected}, MRCONFIGID ${error.observed}` : '';
    const advice = error instanceof LatchkeyError ? error.hint : undefined;
    return [
      {
        check: 'trust-hash',
        level: 'wrong',
        text: textOf(error) + hashes,
        ...(advice === undefined ? {} : { advice }),
      },
    ];
  }
}

function custodyFinding({ trust }: Config): Finding {
  const set = custodySetOf(trust);
  if (set !== undefined) {
    const names = set.custodians.map(({ name }) => name).join(', ');
    return { check: 'custody', level: 'good', text: `${set.threshold} of ${names} open the store together` };
  }
  return {
    check: 'custody',
    level: 'warning',
    text: 'a total blackout loses this store: no custody',
    advice: 'name custodians in trust.custody; docs/custody.md says how',
  };
}

/** Whether the fleet endorses or revokes it is known to a running node: `latchkey status` says so. */
const platformFinding = (trust: Config['trust'], ppid: Uint8Array): Finding => ({
  check: 'platform',
  level: 'good',
  text: `${toPrefixedHex(platformHash(ppid))} is SHA-256 of the PPID of this machine; keys are given back by the rule "${platformPolicyOf(trust).recover}" (trust.platforms.recover)`,
});

const statusSchema = z.looseObject({
  fleet: z.looseObject({ manifest: z.looseObject({ serial: z.number() }).optional() }).optional(),
  fleetAdvice: z.array(z.string()).default([]),
  restartRefusal: z.string().optional(),
});

/** What the running node says of its fleet's manifests; nothing where the section names no authority. */
async function fleetFindings(config: Config): Promise<readonly Finding[]> {
  if (config.trust.authority === undefined) return [];
  const status = await askAgent(agentSocketOf(config), '/status', { quietMs: STATUS_QUIET_MS })
    .then(readAgentJson)
    .catch(() => undefined);
  const { data } = statusSchema.safeParse(status);
  if (data === undefined) {
    const text = 'no node runs with this configuration, so its manifests are not known';
    return [{ check: 'fleet', level: 'warning', text }];
  }
  const { fleet, fleetAdvice, restartRefusal } = data;
  const serial = fleet?.manifest?.serial;
  const refusal =
    restartRefusal === undefined ? [] : [`do not restart: its servers would refuse it. ${restartRefusal}`];
  return [
    {
      check: 'fleet',
      level: 'good',
      text: serial === undefined ? 'no manifest yet' : `the newest manifest has serial ${serial}`,
    },
    ...[...fleetAdvice, ...refusal].map((text): Finding => ({ check: 'fleet', level: 'warning', text })),
  ];
}

function environmentFindings(unmeasured: readonly UnmeasuredInput[]): readonly Finding[] {
  if (unmeasured.length === 0) {
    return [{ check: 'environment', level: 'good', text: 'no variable or flag changes the process' }];
  }
  return unmeasured.map(({ name, effect }) => ({
    check: 'environment',
    level: 'wrong',
    text: `${name}: ${effect}`,
    advice: '`latchkey serve` refuses to start with it; remove it from the service',
  }));
}

const textOf = (error: unknown): string =>
  error instanceof LatchkeyError ? `${error.code}: ${error.message}` : String(error);
