import type { IncomingMessage } from 'node:http';
import { MAX_LINE_BYTES, verifyExport } from '../../audit/audit-export.ts';
import { agentProblem, askAgent, readAgentJson } from '../../client/agent-connection.ts';
import { agentSocketOf } from '../shared/agent-client.ts';
import { boundedLines } from '../shared/bounded-lines.ts';
import { type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { print, processIo } from '../store/io.ts';
import { entryLine, wholeLines } from './lines.ts';

/** The node reads a page of its disk for each part of the answer. */
const QUIET_MS = 60_000;

async function askLog({ config: path }: ConfigOptions, route = '/audit'): Promise<IncomingMessage> {
  const answer = await askAgent(agentSocketOf(await readConfig(path)), route, { quietMs: QUIET_MS });
  if (answer.statusCode !== 200) throw await agentProblem(answer);
  return answer;
}

/** `latchkey audit export`: writes what the node gives, byte for byte. */
export async function exportAudit(options: ConfigOptions & { readonly out: string }): Promise<void> {
  const answer = await askLog(options);
  await writeNewFile(options.out, 'out', async (write) => {
    for await (const bytes of answer) await write(bytes);
  });
  process.stdout.write(`written; \`latchkey audit verify ${options.out}\` verifies it\n`);
}

/** `latchkey audit heads`. */
export async function showHeads(options: ConfigOptions): Promise<void> {
  console.log(JSON.stringify(await readAgentJson(await askLog(options, '/audit/heads'))));
}

/** `latchkey audit show`: prints the entries, verified on the way. */
export async function showAudit(options: ConfigOptions & { readonly last?: number }): Promise<void> {
  const { stdout } = processIo();
  const answer = await askLog(options);
  const kept: string[] = [];
  const { last = Number.POSITIVE_INFINITY } = options;
  await verifyExport(
    wholeLines(boundedLines(answer, MAX_LINE_BYTES)),
    () => [],
    (entry) => {
      kept.push(entryLine(entry));
      if (kept.length > last) kept.shift();
    },
  );
  for (const line of kept) await print(stdout, `${line}\n`);
}
