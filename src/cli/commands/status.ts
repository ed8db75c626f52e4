import { Command } from 'commander';
import { z } from 'zod';
import { countOf } from '../../bytes/count-of.ts';
import { askAgent, readAgentJson } from '../../client/agent-connection.ts';
import { agentSocketOf } from '../shared/agent-client.ts';
import { addConfigOption, type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';

interface StatusOptions extends ConfigOptions {
  readonly json?: boolean;
  readonly explain?: boolean;
}

/** `latchkey status`: state, servers and slots of the node that runs under a configuration. */
export function statusCommand(): Command {
  return addConfigOption(new Command('status'), 'configuration file of the running node')
    .description('show state, servers and slots of a running node')
    .option('--json', 'print JSON')
    .option('--explain', 'say what has to happen')
    .action(status);
}

async function status(options: StatusOptions): Promise<void> {
  const config = await readConfig(options.config);
  const report = await readAgentJson(await askAgent(agentSocketOf(config), '/status', { quietMs: 10_000 }));
  process.exitCode = report['ready'] === true ? exitCodes.ok : exitCodes.failed;
  if (options.json === true) {
    console.log(JSON.stringify(report));
    return;
  }
  console.log(`${accountText(report)}  ${report['summary']}`);
  for (const line of reasonLines(report)) console.log(line);
  const slots = Array.isArray(report['slots']) ? report['slots'] : [];
  for (const slot of slots) console.log(`  ${slot.server}  ${slot.endpoint ?? '-'}  ${slot.standing}`);
  for (const line of olderLines(report)) console.log(line);
  if (Number(report['waitingForFormerClients'] ?? 0) > 0) {
    const clients = countOf(Number(report['waitingForFormerClients']), 'former client');
    console.log(`  waiting for ${clients} to enrol again`);
  }
  if (Number(report['clientsAtRisk'] ?? 0) > 0) {
    const stores = countOf(Number(report['clientsAtRisk']), 'store');
    console.log(`  ${stores} would fall below their threshold if this node stopped now`);
  }
  for (const line of [...entropyLines(report), ...fleetLines(report)]) console.log(line);
  const { draining } = report;
  if (typeof draining === 'object' && draining !== null && 'remaining' in draining && 'moved' in draining) {
    console.log(`  draining: needed by ${draining.remaining}, ${draining.moved} moved`);
  }
  if (options.explain === true) console.log(`\n${report['explanation']}`);
}

/** The account; of a locked node that of its keyslot file, which only the open store proves. */
export function accountText({ accountId, keyslotAccount }: Readonly<Record<string, unknown>>): string {
  if (typeof accountId === 'string') return accountId;
  return typeof keyslotAccount === 'string'
    ? `${keyslotAccount} (by the keyslot file)`
    : 'account not known while the store is closed';
}

const reasonFields = z.object({
  cause: z.string().optional(),
  ownRecord: z.string().optional(),
  ring: z.object({ standing: z.string() }).optional(),
  storeFault: z.object({ code: z.string() }).optional(),
  storeCheckpointIgnored: z.boolean().default(false),
});

const recordWords: Readonly<Record<string, string>> = {
  absent: 'the chain shows no record of this account: other nodes do not use this server',
  inactive: 'the chain shows this server as inactive: other nodes give it no new slots',
};

/** Why the store is closed, and what else keeps the node from being of use: the state alone does not say it. */
export function reasonLines(report: unknown): readonly string[] {
  const { data } = reasonFields.safeParse(report);
  if (data === undefined) return [];
  const { cause, ownRecord = '', ring, storeFault, storeCheckpointIgnored } = data;
  const record = recordWords[ownRecord];
  const isWaiting = ring !== undefined && ring.standing !== 'serving' && ring.standing !== 'no-member';
  return [
    ...(cause === undefined ? [] : [`  cause: ${cause}`]),
    ...(record === undefined ? [] : [`  ${record}`]),
    ...(storeFault === undefined ? [] : [`  the store cannot write: ${storeFault.code}`]),
    ...(storeCheckpointIgnored
      ? ['  the checkpoint of the store’s index was altered or gone, and ignored; no record is affected']
      : []),
    ...(isWaiting ? [`  not ready while its part in the ring is: ${ring.standing}`] : []),
  ];
}

const entry = z.object({ entry: z.string(), at: z.string() });
const manifest = z.object({ serial: z.number() });
const fleetFields = z.object({
  fleet: z.object({
    manifest: manifest.optional(),
    awaited: manifest.optional(),
    conflict: manifest.optional(),
    handover: z.object({ to: z.string(), takesEffect: z.string() }).optional(),
    waiting: z.array(entry).default([]),
    ending: z.array(entry).default([]),
    notListed: z.number().default(0),
    serversBehind: z.number().default(0),
  }),
});

/** The fleet manifest, and what of it begins or ends soon. */
export function fleetLines(report: unknown): readonly string[] {
  const { data } = fleetFields.safeParse(report);
  if (data === undefined) return [];
  const { manifest, awaited, conflict, handover, waiting, ending, notListed, serversBehind } = data.fleet;
  return [
    `  fleet manifest: ${manifest === undefined ? 'none yet' : `serial ${manifest.serial}`}`,
    ...(awaited === undefined ? [] : [`    serial ${awaited.serial} is signed, and no source gives it`]),
    ...(conflict === undefined ? [] : [`    two manifests of serial ${conflict.serial} are signed`]),
    ...(handover === undefined ? [] : [`    handover to ${handover.to}: ${handover.takesEffect}`]),
    ...waiting.map((one) => `    takes effect at ${one.at}: ${one.entry}`),
    ...ending.map((one) => `    ENDS at ${one.at}: ${one.entry}`),
    ...(notListed === 0 ? [] : [`    and ${notListed} more that begin or end`]),
    ...(serversBehind === 0 ? [] : [`    servers that show an older one: ${serversBehind}`]),
  ];
}

const entropyFields = z.object({ entropy: z.object({ backups: z.number(), conflicts: z.number() }) });

/** Backups of nodes of entropy-tss, and backups that were refused because another key is here. */
export function entropyLines(report: unknown): readonly string[] {
  const { data } = entropyFields.safeParse(report);
  if (data === undefined) return [];
  const { backups, conflicts } = data.entropy;
  return [
    `  keys of ${backups} entropy-tss nodes are backed up here, and at no other server`,
    ...(conflicts === 0
      ? []
      : [`  ${conflicts} backups of other keys were refused since the start (BACKUP_CONFLICT in the log)`]),
  ];
}

const olderFields = z.object({
  olderGenerationOpen: z
    .array(z.object({ generation: z.number(), needed: z.number(), unanswered: z.array(z.string()) }))
    .default([]),
  formerLineageOpen: z
    .array(z.object({ incarnation: z.number(), unanswered: z.array(z.string()) }))
    .default([]),
  olderDropped: z.number().default(0),
});

/** One line for each older generation that is open and each former store key that is not closed everywhere. */
export function olderLines(report: unknown): readonly string[] {
  const { data } = olderFields.safeParse(report);
  if (data === undefined) return [];
  const generations = data.olderGenerationOpen.map(
    ({ generation, needed, unanswered }) =>
      `  generation ${generation} is open (${needed} of its slots open an older disk); no answer from ${unanswered.join(', ')}`,
  );
  const lineages = data.formerLineageOpen.map(
    ({ incarnation, unanswered }) =>
      `  the store key before the change by boot ${incarnation} is not closed; no answer from ${unanswered.join(', ')}`,
  );
  const dropped =
    data.olderDropped === 0
      ? []
      : [`  ${data.olderDropped} older generations or store keys were given up: the list was full`];
  return [...generations, ...lineages, ...dropped];
}
