import { z } from 'zod';
import { concatBytes, utf8 } from '../../bytes/concat.ts';
import { AccountId } from '../../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { systemRandom } from '../../crypto/random.ts';
import { sr25519PublicKey } from '../../crypto/sr25519.ts';
import { parseWire } from '../../protocol/decode.ts';
import { type Acl, verbs } from '../../secrets/acl.ts';
import { MAX_VALUE_BYTES } from '../../secrets/value.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { readUserFile } from '../shared/user-file.ts';
import { readValue, type UserOptions, withSecretClient } from './session.ts';

const DAY_MS = 86_400_000;
const MAX_ACL_FILE_BYTES = 64 * 1024;

/** What a file with an ACL may hold; what is left out is the narrowest. */
const aclFile = z.strictObject({
  callers: z.array(z.string()).optional(),
  verbs: z.array(z.enum(verbs)).default(['GET', 'POST']),
  paths: z.array(z.string()),
  headers: z.array(z.string()).default(['authorization']),
  body: z.boolean().default(false),
  plainHttp: z.boolean().default(false),
  expiresAtMs: z.int().optional(),
  limit: z.strictObject({ count: z.int(), periodMs: z.int() }).optional(),
});

/** Options of `deploy` and `update`. */
export interface WriteOptions extends UserOptions {
  readonly url: string;
  readonly value: string;
  readonly acl: string;
  readonly days: number;
}

/** `latchkey secret deploy` and `update`. */
export async function writeSecret(route: 'deploy' | 'update', options: WriteOptions): Promise<void> {
  const file = parseAclFile(await readUserFile(options.acl, 'acl', MAX_ACL_FILE_BYTES));
  const value = await readValue(options.value, 'value', MAX_VALUE_BYTES);
  try {
    await withSecretClient(options, async (client, user) => {
      const acl = aclOf(file, user);
      const expiresAtMs = Date.now() + options.days * DAY_MS;
      const version = await client[route]({ url: options.url, value, acl, expiresAtMs });
      process.stdout.write(`${JSON.stringify({ url: options.url, version, expiresAtMs })}\n`);
    });
  } finally {
    value.fill(0);
  }
}

/** `latchkey secret delete`. */
export async function deleteSecret(options: UserOptions & { readonly url: string; readonly days: number }) {
  await withSecretClient(options, async (client) => {
    const version = await client.delete(options.url, Date.now() + options.days * DAY_MS);
    process.stdout.write(`${JSON.stringify({ url: options.url, version, deleted: true })}\n`);
  });
}

/** `latchkey secret list`. */
export async function listSecrets(options: UserOptions): Promise<void> {
  await withSecretClient(options, async (client) => {
    for (const secret of await client.list()) process.stdout.write(`${JSON.stringify(secret)}\n`);
  });
}

/** `latchkey secret keygen`: makes a file with the seed of an account, and prints the account. */
export async function makeUserKey(options: { readonly out: string }): Promise<void> {
  const seed = SecretBytes.adopt(systemRandom(32));
  try {
    const text = utf8(`${toPrefixedHex(seed.reveal())}\n`);
    await writeNewFile(options.out, 'out', (write) => write(concatBytes(text)));
    process.stdout.write(`${encodeSs58(AccountId.of(sr25519PublicKey(seed.reveal())))}\n`);
  } finally {
    seed.wipe();
  }
}

/** @throws EvidenceError FIELD_INVALID. */
function parseAclFile(bytes: Uint8Array): z.output<typeof aclFile> {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    // The parser's message quotes the text, and by mistake it may be the value. The schema says what is expected.
  }
  return parseWire(aclFile, json, '--acl');
}

/** Without callers, the user alone. */
function aclOf({ callers, expiresAtMs, limit, ...fields }: z.output<typeof aclFile>, user: AccountId): Acl {
  const accounts = callers?.map((caller) => AccountId.parse(caller, 'acl.callers')) ?? [user];
  return { ...fields, callers: accounts, expiresAtMs, limit };
}
