import { escapeControls } from '../bytes/escape-controls.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

/** Of an endpoint's error text, which goes to the log. */
const MAX_REASON_CHARACTERS = 200;
const METHOD_NOT_FOUND = -32601;
/** "Response is too big", in older and newer versions of jsonrpsee, which Substrate's nodes use. */
const TOO_LARGE: readonly unknown[] = [-32702, -32008];
const TOO_MANY_REQUESTS: readonly unknown[] = [429, -32005, -32029];
/** `sc_rpc_api::state::error`: the state of the block was discarded. */
const STATE_DISCARDED = 4003;

/** An RPC call that gave no answer. */
export class RpcFailure extends ProblemError {
  /** Whether a smaller question may be answered: the answer was too large, or the endpoint closed the connection. */
  readonly mayBeTooLarge: boolean;
  /** The connection is over; further questions need another one. */
  readonly isConnectionOver: boolean;

  constructor(
    message: string,
    detail: {
      readonly hint?: string;
      readonly mayBeTooLarge?: boolean;
      readonly isConnectionOver?: boolean;
    } = {},
  ) {
    super('CHAIN_UNAVAILABLE', message, detail.hint === undefined ? {} : { hint: detail.hint });
    this.mayBeTooLarge = detail.mayBeTooLarge ?? false;
    this.isConnectionOver = detail.isConnectionOver ?? false;
  }
}

/** Turning an object of JSON into text can throw, and nothing catches what a socket's listener throws. */
const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number'
    ? escapeControls(`${value}`.slice(0, MAX_REASON_CHARACTERS))
    : '-';

const tooManyHint = 'The endpoint limits requests: use a node of your own, or an access with a higher limit.';

function hintFor(method: string, code: unknown, text: string): string | undefined {
  if (code === METHOD_NOT_FOUND && method === 'state_getReadProof')
    return 'The endpoint does not offer read proofs, without which a checkpoint is of no use: use another node.';
  if (code === METHOD_NOT_FOUND)
    return `The endpoint does not offer ${method}: use another node, or one that allows the method.`;
  if (TOO_MANY_REQUESTS.includes(code) || /\b429\b|too many requests|rate limit/i.test(text))
    return tooManyHint;
  if (code === STATE_DISCARDED || /state already discarded|pruned|unknown ?block/i.test(text))
    return 'The endpoint has pruned the state of that block: use a node that keeps it for longer (--state-pruning).';
  return undefined;
}

/** Converts an endpoint's error answer into a failure. */
export function answeredError(
  method: string,
  error: { readonly code?: unknown; readonly message?: unknown },
): RpcFailure {
  const text = textOf(error.message);
  const hint = hintFor(method, error.code, text);
  return new RpcFailure(`${method}: the endpoint answered ${textOf(error.code)}: ${text}`, {
    ...(hint === undefined ? {} : { hint }),
    mayBeTooLarge: TOO_LARGE.includes(error.code),
  });
}

/** The failure of a handshake. */
export function handshakeFailure(endpoint: string, why: string): RpcFailure {
  const isLimited = /\b429\b/.test(why);
  return new RpcFailure(`cannot connect to ${endpoint}: ${why}`, isLimited ? { hint: tooManyHint } : {});
}
