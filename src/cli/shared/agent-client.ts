import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { defaultAgentSocket } from '../../config/agent-socket.ts';
import type { Config } from '../../config/schema.ts';
import { type ErrorCode, errorCodes } from '../../errors/codes.ts';
import { ProblemError, RefusalError } from '../../errors/latchkey-error.ts';

/** Where the agent of the node with this configuration listens. */
export const agentSocketOf = ({ agent, node }: Config): string =>
  agent.socketPath ?? defaultAgentSocket(node.dataFolder);

/**
 * Asks the agent on its Unix socket, which `fetch` cannot reach.
 * @throws ProblemError NODE_UNREACHABLE.
 */
export function askAgent(
  socketPath: string,
  path: string,
  options: {
    /** How long nothing may come before the answer is given up, in milliseconds. */
    readonly quietMs: number;
    readonly method?: 'GET' | 'PUT' | 'DELETE';
    /** Sent as JSON. */
    readonly body?: object;
  },
): Promise<IncomingMessage> {
  const { quietMs, method = 'GET', body } = options;
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path, method, headers, timeout: quietMs }, resolve);
    asking.on('error', (cause) => {
      reject(
        new ProblemError('NODE_UNREACHABLE', `no node answers on ${socketPath}: ${cause.message}`, {
          hint: 'is `latchkey serve` running with this configuration?',
          cause,
        }),
      );
    });
    asking.on('timeout', () => asking.destroy(new Error(`nothing came for ${quietMs / 1000} s`)));
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The JSON body of an answer. */
export async function readAgentJson(answer: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

/** The error of an answer that is a problem, under the code that the agent gave. */
export async function agentProblem(answer: IncomingMessage): Promise<ProblemError> {
  const { code, detail, hint } = await readAgentJson(answer);
  return new ProblemError(
    isErrorCode(code) ? code : 'INTERNAL',
    `the node answers ${answer.statusCode}: ${detail}`,
    {
      ...(typeof hint === 'string' ? { hint } : {}),
    },
  );
}

/** Whether a value is one of this program's error codes. */
export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(errorCodes, code);

/** @throws RefusalError NODE_RUNNING when a process listens on the agent's socket. */
export async function requireStopped(config: Config): Promise<void> {
  const path = agentSocketOf(config);
  const isTaken = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // ENOENT, or what a killed process has left behind.
    socket.once('error', () => resolve(false));
  });
  if (isTaken) {
    throw new RefusalError('NODE_RUNNING', `a node runs with this configuration: it listens on ${path}`, {
      hint: 'stop it first; nothing was changed',
    });
  }
}
