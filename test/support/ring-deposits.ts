import { z } from 'zod';
import type { DevelopmentNode } from '../../devnet/development-node.ts';
import { parseBase64 } from '../../src/bytes/base64.ts';
import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { sr25519PublicKey } from '../../src/crypto/sr25519.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { NodeExchange } from '../../src/secrets/client/node-exchange.ts';
import { type NodeDirectory, SecretClient } from '../../src/secrets/client/secret-client.ts';
import { decodeRecord } from '../../src/secrets/record.ts';
import { PLACEHOLDER } from '../../src/secrets/relay/outgoing-request.ts';
import { parseScope, secretId } from '../../src/secrets/scope.ts';

const YEAR_MS = 365 * 86_400_000;
const listAnswer = z.object({
  records: z.array(z.string()),
  holders: z.record(z.string(), z.array(z.string())),
});

/** What one node shows: the ids that it holds, and the holders of each id, nearest first, by its view. */
export interface Shown {
  readonly held: ReadonlySet<string>;
  readonly holders: Readonly<Record<string, readonly string[]>>;
}

/**
 * Judges whether the holders of each id have it.
 * @param shown what each node shows, by account (SS58). @param only judges this node alone.
 */
export function judgeDeposits(
  invariant: string,
  ids: readonly string[],
  shown: ReadonlyMap<string, Shown>,
  only?: string,
): readonly string[] {
  const wrong: string[] = [];
  for (const [account, { held, holders }] of shown) {
    if (only !== undefined && account !== only) continue;
    const missing = ids.filter((id) => holders[id]?.includes(account) && !held.has(id));
    const nearest = missing.filter((id) => holders[id]?.[0] === account);
    if (missing.length > 0)
      wrong.push(
        `${invariant}: ${account} does not have ${missing.length} of its records, ${nearest.length} of them as the nearest`,
      );
  }
  for (const id of ids)
    if (only === undefined && ![...shown.values()].some(({ held }) => held.has(id)))
      wrong.push(`${invariant}: nobody has ${id}`);
  return wrong;
}

/** A user with many secrets that do not change: they show which node holds what. */
export class Deposits {
  readonly ids: readonly string[];
  readonly #urls: readonly string[];
  readonly #account: AccountId;
  readonly #seed: SecretBytes;
  #directory: NodeDirectory;

  constructor(count: number, origin: string, directory: NodeDirectory) {
    this.#seed = new SecretBytes(new Uint8Array(32).fill(99));
    this.#account = AccountId.of(sr25519PublicKey(this.#seed.reveal()));
    this.#urls = Array.from({ length: count }, (_, at) => `${origin}/v1/deposit-${at}`);
    this.ids = this.#urls.map((url) => toPrefixedHex(secretId(this.#account, parseScope(url))));
    this.#directory = directory;
  }

  /** What is read from the chain grows old. */
  renew(directory: NodeDirectory): void {
    this.#directory = directory;
  }

  /** Deploys all of them, each as often as it takes. */
  async deploy(): Promise<void> {
    const expiresAtMs = Date.now() + YEAR_MS;
    for (const url of this.#urls) {
      const acl = {
        paths: [`${new URL(url).pathname}/**`],
        verbs: ['GET' as const],
        headers: ['authorization'],
        callers: [this.#account],
        body: false,
        plainHttp: false,
        expiresAtMs: undefined,
        limit: undefined,
      };
      for (let isDone = false; !isDone; )
        isDone = await this.#client(this.#directory)
          .deploy({ url, value: utf8('sk-of-ring-kills-1'), acl, expiresAtMs })
          .then(() => true)
          .catch(async (error: unknown) => {
            if (!(error instanceof LatchkeyError)) throw error;
            if (error.code === 'SECRET_EXISTS') return true;
            await new Promise((resolve) => setTimeout(resolve, 500));
            return false;
          });
    }
  }

  /** Whether the users know of a node. */
  async isKnown(node: DevelopmentNode): Promise<boolean> {
    return (await this.#only(node).nodes()).length > 0;
  }

  /** What a node shows. @throws LatchkeyError, NodeRefusal when it refuses. */
  async at(node: DevelopmentNode): Promise<Shown> {
    const [found] = await this.#only(node).nodes();
    if (found === undefined) throw new RangeError(`${node.name} is not in the directory`);
    await this.#directory.attest(found);
    const ids = this.ids.map((id) => Buffer.from(id.slice(2), 'hex'));
    const exchange = new NodeExchange(this.#parts());
    const all = listAnswer.parse(await exchange.ask(found, 'list', concatBytes(...ids)));
    const held = all.records.map((text) => toPrefixedHex(decodeRecord(parseBase64(text, 'records')).id));
    return { held: new Set(held), holders: all.holders };
  }

  /** Whether a node alone carries a request out. */
  async isUsedBy(node: DevelopmentNode): Promise<boolean> {
    const [secretUrl = ''] = this.#urls;
    const headers: [string, string][] = [['authorization', `Bearer ${PLACEHOLDER}`]];
    const url = `${secretUrl}/x?nonce=deposit-${toPrefixedHex(systemRandom(8))}`;
    return this.#client(this.#only(node))
      .request({ secretUrl, verb: 'GET', url, headers, body: new Uint8Array(0) })
      .then(
        () => true,
        () => false,
      );
  }

  #only(node: DevelopmentNode): NodeDirectory {
    const whole = this.#directory;
    return {
      nodes: async () =>
        (await whole.nodes()).filter(({ endpoint }) => endpoint === `127.0.0.1:${node.port}`),
      attest: (asked) => whole.attest(asked),
    };
  }

  #parts() {
    return {
      owner: { account: this.#account, seed: this.#seed },
      fetch: (url: string, init: RequestInit | undefined) => fetch(url, init),
      random: systemRandom,
      now: () => Date.now(),
      timeoutMs: 30_000,
    };
  }

  #client(directory: NodeDirectory): SecretClient {
    return new SecretClient({ ...this.#parts(), directory });
  }
}
