import { Command } from 'commander';
import { z } from 'zod';
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
  console.log(`${report['accountId'] ?? 'no account yet'}  ${report['summary']}`);
  const slots = Array.isArray(report['slots']) ? report['slots'] : [];
  for (const slot of slots) console.log(`  ${slot.server}  ${slot.endpoint ?? '-'}  ${slot.standing}`);
  for (const line of olderLines(report)) console.log(line);
  if (Number(report['waitingForFormerClients'] ?? 0) > 0) {
    console.log(`  waiting for ${report['waitingForFormerClients']} former clients to enrol again`);
  }
  if (Number(report['clientsAtRisk'] ?? 0) > 0) {
    console.log(
      `  ${report['clientsAtRisk']} stores would fall below their threshold if this node stopped now`,
    );
  }
  for (const line of entropyLines(report)) console.log(line);
  const { draining } = report;
  if (typeof draining === 'object' && draining !== null && 'remaining' in draining && 'moved' in draining) {
    console.log(`  draining: needed by ${draining.remaining}, ${draining.moved} moved`);
  }
  if (options.explain === true) console.log(`\n${report['explanation']}`);
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
