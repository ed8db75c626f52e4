import { escapeControls } from '../../bytes/escape-controls.ts';
import { agentProblem, askAgent, readAgentJson } from '../../client/agent-connection.ts';
import { writeManifestList } from '../../fleet/manifest-file.ts';
import { agentSocketOf } from '../shared/agent-client.ts';
import { type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';
import { readManifestAt } from './read-manifest.ts';

/** The node writes what it takes into its store before it answers. */
const QUIET_MS = 60_000;

/** `latchkey fleet publish`: hands signed manifests to a node; its peers fetch them from there. */
export async function publish(paths: readonly string[], options: ConfigOptions): Promise<void> {
  const config = await readConfig(options.config);
  const files = await Promise.all(paths.map(readManifestAt));
  const answer = await askAgent(agentSocketOf(config), '/manifests', {
    quietMs: QUIET_MS,
    method: 'PUT',
    body: writeManifestList(files),
  });
  if (answer.statusCode !== 200) throw await agentProblem(answer);
  // The schemas of the agent take long to load.
  const { fleetPublishAnswer } = await import('../../agent/fleet-routes.ts');
  const { manifests, serial } = fleetPublishAnswer.parse(await readAgentJson(answer));
  for (const [index, { outcome, code, detail, hint }] of manifests.entries()) {
    const why = outcome === 'refused' ? `: ${code}: ${detail}` : '';
    console.log(escapeControls(`${paths[index]}: ${outcome}${why}`));
    if (hint !== undefined) console.log(escapeControls(`  hint: ${hint}`));
  }
  if (serial !== undefined)
    console.log(`the newest manifest of the node has serial ${serial}; \`latchkey status\` says what waits`);
  if (manifests.some(({ outcome }) => outcome === 'refused')) process.exitCode = exitCodes.refused;
}
