import type { IncomingMessage } from 'node:http';
import { utf8 } from '../../bytes/concat.ts';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { agentProblem, askAgent, readAgentJson } from '../../client/agent-connection.ts';
import { type CustodyRequest, decodeRequest } from '../../custody/request.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { agentSocketOf } from '../shared/agent-client.ts';
import { type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { readTextFile } from '../shared/user-file.ts';
import { print, processIo } from '../store/io.ts';

/** The node asks its key servers once more before it opens, and a quote takes up to a second. */
const QUIET_MS = 60_000;
/** Longest text of an answer that is read. */
const MAX_ANSWER_BYTES = 64 * 1024;

async function ask(
  { config: path }: ConfigOptions,
  route: string,
  body: object,
): Promise<Record<string, unknown>> {
  const config = await readConfig(path);
  const answer: IncomingMessage = await askAgent(agentSocketOf(config), route, {
    quietMs: QUIET_MS,
    method: 'PUT',
    body,
  });
  if (answer.statusCode !== 200) throw await agentProblem(answer);
  return await readAgentJson(answer);
}

/** `latchkey custody request`: asks the locked node for a request. */
export async function requestOfNode(
  options: ConfigOptions & { readonly out?: string; readonly generation?: number },
): Promise<void> {
  const { generation } = options;
  const body = generation === undefined ? {} : { generation };
  const { request } = await ask(options, '/custody/request', body);
  if (typeof request !== 'string') throw new ProblemError('INTERNAL', 'the node gave no request');
  if (options.out === undefined) await print(processIo().stdout, request);
  else await writeNewFile(options.out, 'out', (write) => write(utf8(request)));
  for (const line of requestLines(decodeRequest(request))) process.stderr.write(`${line}\n`);
}

/** What the operator tells the custodians by another way, and how many of them have to answer. */
export const requestLines = ({
  account,
  generation,
  threshold,
  parts,
}: CustodyRequest): readonly string[] => [
  `account ${encodeSs58(account)}: tell it to each custodian by another way than this request`,
  `generation ${generation}; ${threshold} of ${parts.length} custodians have to answer, for this process alone: do not restart the node`,
];

/** A line about an answer that does not count. The answer came by mail: what it says of itself is escaped. */
export const refusalLine = ({
  code,
  detail,
}: {
  readonly code?: unknown;
  readonly detail?: unknown;
}): string => `refused: ${escapeControls(`${String(code)}: ${String(detail)}`)}\n`;

/** `latchkey custody open`: gives answers to the node; exit 0 when it has the store key, 2 while parts are missing. */
export async function openByAnswers(
  files: readonly string[],
  options: ConfigOptions & { readonly force?: true },
): Promise<void> {
  const answers = await Promise.all(files.map((file) => readTextFile(file, 'answers', MAX_ANSWER_BYTES)));
  const progress = await ask(options, '/custody/answers', { answers, force: options.force === true });
  const { answered, threshold, refused, opens } = progress;
  for (const one of Array.isArray(refused) ? refused : []) {
    process.stderr.write(refusalLine(one));
  }
  const names = Array.isArray(answered) ? answered.join(', ') : '';
  process.stdout.write(
    opens === true
      ? `the parts of ${names} give the store key; \`latchkey status --explain\` says how the node goes on\n`
      : `the node has the parts of ${names === '' ? 'nobody' : names}; ${String(threshold)} custodians are needed\n`,
  );
  if (opens !== true) process.exitCode = exitCodes.failed;
}
