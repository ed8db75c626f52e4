import { AccountId } from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex } from '../../bytes/hex.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import { MAX_REQUEST_BODY_BYTES } from '../../secrets/relay/outgoing-request.ts';
import { IDEMPOTENCY_KEY_BYTES } from '../../secrets/use-request.ts';
import { print } from '../store/io.ts';
import { readValue, type UserOptions, withSecretClient } from './session.ts';

/** Options of `latchkey secret request`. */
export interface RequestOptions extends UserOptions {
  readonly secret: string;
  readonly owner?: string;
  readonly verb: string;
  readonly url: string;
  readonly header?: readonly string[];
  readonly body?: string;
  readonly idempotencyKey?: string;
  readonly include?: boolean;
}

/** `latchkey secret request`: the body of the answer goes to standard output, status and headers to standard error. */
export async function requestWithSecret(options: RequestOptions): Promise<void> {
  const { secret: secretUrl, owner, verb, url, header = [], idempotencyKey: key } = options;
  const body =
    options.body === undefined
      ? new Uint8Array(0)
      : await readValue(options.body, 'body', MAX_REQUEST_BODY_BYTES);
  const headers = header.map(splitHeader);
  await withSecretClient(options, async (client) => {
    const answer = await client.request({
      ...{ secretUrl, verb, url, headers, body },
      ...(owner === undefined ? {} : { owner: AccountId.parse(owner, 'owner') }),
      ...(key === undefined
        ? {}
        : { idempotencyKey: parsePrefixedHex(key, IDEMPOTENCY_KEY_BYTES, 'idempotency-key') }),
    });
    const lines = [`${answer.status}`, ...answer.headers.map(([name, value]) => `${name}: ${value}`)];
    if (options.include === true) process.stderr.write(`${JSON.stringify(lines, undefined, 1)}\n`);
    await print(process.stdout, answer.body);
    if (answer.status >= 400)
      process.stderr.write(`the upstream answered ${answer.status}; --include shows its headers\n`);
  });
}

/** `Name: value`. */
function splitHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(':');
  if (colon > 0) return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
  throw new RefusalError('FIELD_INVALID', 'a header is a name, a colon and a value', { field: 'header' });
}
