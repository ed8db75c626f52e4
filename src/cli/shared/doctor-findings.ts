import { z } from 'zod';
import { askAgent, readAgentJson } from '../../client/agent-connection.ts';
import { configWarnings } from '../../config/config-warnings.ts';
import type { Config } from '../../config/schema.ts';
import type { UnmeasuredInput } from '../../config/unmeasured-environment.ts';
import { readOwner } from '../../disk/lock-owner.ts';
import type { NodeParts } from '../../node/parts.ts';
import { custodySetOf } from '../../trust/custody-set.ts';
import { diskFindings } from '../doctor/disk.ts';
import { type Finding, readText } from '../doctor/finding.ts';
import { type MachineParts, machineFindings } from '../doctor/machine.ts';
import { memoryFindings, type Subject } from '../doctor/memory.ts';
import { permissionFindings } from '../doctor/permissions.ts';
import { timeFindings } from '../doctor/time.ts';
import { agentSocketOf } from './agent-client.ts';

/** How long the status of the node may take, in milliseconds. */
const STATUS_QUIET_MS = 10_000;

/** Runs every check; none of them changes anything, and none throws. */
export async function findingsOf(
  config: Config,
  parts: Pick<NodeParts, 'chain' | 'fetch'> & MachineParts,
  unmeasured: readonly UnmeasuredInput[],
  isDevelopment = false,
): Promise<readonly Finding[]> {
  const { dataFolder } = config.node;
  const time = await timeFindings(parts, config.trust);
  return [
    ...time.findings,
    ...(await configurationFindings(config, time.servers)),
    ...(await diskFindings(dataFolder)),
    ...(await permissionFindings(dataFolder, agentSocketOf(config))),
    socketFinding(config),
    ...(await memoryFindings(await runningNode(dataFolder))),
    custodyFinding(config),
    ...(await machineFindings(config, parts)),
    ...(await runningFindings(config)),
    ...environmentFindings(unmeasured, isDevelopment),
  ];
}

/** The node that holds the data folder, as far as it is in this process's sight. */
async function runningNode(dataFolder: string): Promise<Subject> {
  const pid = Number(/^process (\d+)$/.exec(await readOwner(dataFolder))?.[1]);
  // The number may be one of another PID namespace, or of a process that has ended long ago.
  const command = Number.isNaN(pid) ? undefined : await readText(`/proc/${pid}/cmdline`);
  return { pid: command?.split('\0').includes('serve') ? pid : 'self' };
}

/** A path that is too long was refused when the configuration was read. */
const socketFinding = (config: Config): Finding => ({
  check: 'socket',
  level: 'good',
  text: `${agentSocketOf(config)} fits into a socket's address`,
});

async function configurationFindings(
  config: Config,
  servers: number | undefined,
): Promise<readonly Finding[]> {
  const warnings = await configWarnings(config, servers);
  const advice = '`latchkey config check` says the same; docs/configuration.md describes each key';
  return warnings.map((text) => ({ check: 'configuration', level: 'warning', text, advice }));
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

const statusSchema = z.looseObject({
  fleet: z.looseObject({ manifest: z.looseObject({ serial: z.number() }).optional() }).optional(),
  fleetAdvice: z.array(z.string()).default([]),
  recordAdvice: z.array(z.string()).default([]),
  restartRefusal: z.string().optional(),
});

/** What the running node says of its place on the chain, and of its fleet's manifests where it has an authority. */
async function runningFindings(config: Config): Promise<readonly Finding[]> {
  const status = await askAgent(agentSocketOf(config), '/status', { quietMs: STATUS_QUIET_MS })
    .then(readAgentJson)
    .catch(() => undefined);
  const { data } = statusSchema.safeParse(status);
  const record = data?.recordAdvice ?? [];
  return [
    ...record.map((text): Finding => ({ check: 'chain-record', level: 'warning', text })),
    ...(config.trust.authority === undefined ? [] : fleetFindings(data)),
  ];
}

function fleetFindings(data: z.output<typeof statusSchema> | undefined): readonly Finding[] {
  if (data === undefined) {
    const text = 'no node runs with this configuration, so its manifests are not known';
    return [{ check: 'fleet', level: 'warning', text, advice: 'start it, and ask again' }];
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

/** @param isDevelopment an injected root was given, with which `serve` allows all of them. */
export function environmentFindings(
  unmeasured: readonly UnmeasuredInput[],
  isDevelopment: boolean,
): readonly Finding[] {
  if (unmeasured.length === 0) {
    return [{ check: 'environment', level: 'good', text: 'no variable or flag changes the process' }];
  }
  return unmeasured.map(({ name, effect }) => ({
    check: 'environment',
    level: isDevelopment ? 'warning' : 'wrong',
    text: `${name}: ${effect}`,
    advice: isDevelopment
      ? 'allowed with --insecure-trust-root only; `latchkey serve` without it refuses to start'
      : '`latchkey serve` refuses to start with it; remove it from the service',
  }));
}
