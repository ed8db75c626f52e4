import { type IncomingMessage, request } from 'node:http';
import { type ErrorCode, errorCodes } from '../errors/codes.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

/** How one question is asked. */
export interface AgentQuestion {
  /** How long nothing may come before the answer is given up, in milliseconds. */
  readonly quietMs: number;
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Sent as JSON. */
  readonly body?: object;
}

/**
 * Asks the agent on its Unix socket, which `fetch` cannot reach.
 * @throws ProblemError NODE_UNREACHABLE.
 */
export function askAgent(
  socketPath: string,
  path: string,
  { quietMs, method = 'GET', body }: AgentQuestion,
): Promise<IncomingMessage> {
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
export const agentProblem = async (answer: IncomingMessage): Promise<ProblemError> =>
  problemOfAnswer(answer.statusCode, await readAgentJson(answer));

/** The error of a problem document, under its code. */
export function problemOfAnswer(
  status: number | undefined,
  { code, detail, hint }: Readonly<Record<string, unknown>>,
): ProblemError {
  const more = typeof hint === 'string' ? { hint } : {};
  return new ProblemError(
    isErrorCode(code) ? code : 'INTERNAL',
    `the node answers ${status}: ${detail}`,
    more,
  );
}

/** Whether a value is one of this program's error codes. */
export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(errorCodes, code);
