import type { Lies } from './lies/lies.ts';

/** An error that the caller receives as a JSON-RPC error with this code and message. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** JSON-RPC 2.0: invalid method parameters. */
export const invalidParams = (message: string): RpcError =>
  new RpcError(-32602, `Invalid params: ${message}`);

/** Substrate's code for a block that this node does not have. */
export const unknownBlock = (message: string): RpcError => new RpcError(4003, `UnknownBlock: ${message}`);

/** One connection, as methods that subscribe see it. */
export interface RpcClient {
  /** What this connection is not told truthfully. */
  readonly lies: Lies;
  /** Starts a subscription; `start` gets the function that sends one notification and returns the unsubscriber. */
  subscribe(notification: string, start: (notify: (result: unknown) => void) => () => void): string;
  /** @returns whether there was such a subscription. */
  unsubscribe(id: unknown): boolean;
}

/** One method: the positional parameters in, the result out; throws {@link RpcError}. */
export type RpcMethod = (params: readonly unknown[], client: RpcClient) => unknown;

/** Methods by name. */
export type RpcMethods = Readonly<Record<string, RpcMethod>>;

/** A parameter that must be text. @throws RpcError -32602. */
export function textParam(params: readonly unknown[], index: number, name: string): string {
  const value = params[index];
  if (typeof value !== 'string') throw invalidParams(`${name} must be text`);
  return value;
}

/** A parameter that must be a list of texts. @throws RpcError -32602. */
export function textsParam(params: readonly unknown[], index: number, name: string): string[] {
  const value = params[index];
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string')) {
    throw invalidParams(`${name} must be a list of texts`);
  }
  return value;
}
