import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DevelopmentNode } from '../../devnet/development-node.ts';
import { startUpstream, tlsIdentity } from '../../devnet/tls-upstream.ts';
import { utf8 } from '../../src/bytes/concat.ts';
import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { sr25519PublicKey } from '../../src/crypto/sr25519.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { type NodeDirectory, SecretClient } from '../../src/secrets/client/secret-client.ts';
import { PLACEHOLDER } from '../../src/secrets/relay/outgoing-request.ts';
import type { Dice } from './dice.ts';

/** In every value, so that it is found where it must not be. */
const VALUE_MARK = 'sk-of-ring-kills';
const YEAR_MS = 365 * 86_400_000;

/** What happened to the secrets, for the checks; all numbers of writes of one secret are 1, 2, 3 … */
export interface SecretHistory {
  readonly name: string;
  /** Kinds of all writes that were tried, by number minus one. */
  readonly tried: ('value' | 'tombstone')[];
  /** Number of the last write that was acknowledged; 0 before the first one. */
  acknowledged: number;
}

/**
 * Judges what a use of a secret gave.
 * @param acknowledged number of the last acknowledged write when the use began.
 * @param outcome number of the write whose value the upstream got, or the code of the refusal.
 * @returns what is wrong, if something is.
 */
export function judgeOutcome(
  { name, tried }: SecretHistory,
  acknowledged: number,
  outcome: number | string,
): string | undefined {
  if (typeof outcome === 'number') {
    if (outcome >= acknowledged) return undefined;
    const invariant = tried[acknowledged - 1] === 'tombstone' ? 'I3' : 'I9';
    return `${invariant}: ${name} was used with write ${outcome} after ${acknowledged} was acknowledged`;
  }
  if (outcome !== 'SECRET_NOT_FOUND' || acknowledged === 0) return undefined;
  if (tried.slice(acknowledged - 1).includes('tombstone')) return undefined;
  return `I2: ${name} is gone, write ${acknowledged} was acknowledged and nothing was deleted since`;
}

/** Holders of one record have to show the same one. @param shown version and kind by node. */
export const judgeHolders = (name: string, shown: readonly string[]): string | undefined =>
  new Set(shown).size === 1 ? undefined : `I4: holders of ${name} have ${shown.join(', ')}`;

/** Each request was made once at most. @param seen how often, by the nonce of the request. */
export const judgeOnce = (seen: ReadonlyMap<string, number>): readonly string[] =>
  [...seen]
    .filter(([, times]) => times > 1)
    .map(([nonce, times]) => `I6: request ${nonce} was made ${times} times`);

/** Files below a folder that have a value in clear. */
export function judgeFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter(
      (path) =>
        statSync(path, { throwIfNoEntry: false })?.isFile() && readFileSync(path).includes(VALUE_MARK),
    )
    .map((path) => `I7: ${path} has a value in clear`);
}

/** An upstream that says which write the value of a request was. */
export async function startCountingUpstream() {
  const identity = tlsIdentity(['127.0.0.1']);
  const seen = new Map<string, number>();
  const upstream = await startUpstream((request, response) => {
    const nonce = new URL(request.url ?? '', 'https://x').searchParams.get('nonce') ?? '';
    seen.set(nonce, (seen.get(nonce) ?? 0) + 1);
    const [, write = ''] = /^Bearer sk-of-ring-kills-(\d+)$/.exec(request.headers.authorization ?? '') ?? [];
    response.end(write);
  }, identity);
  return {
    origin: `https://127.0.0.1:${upstream.port}`,
    cert: identity.cert,
    seen,
    [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
  };
}

/** One user with one secret: writes, uses and deletes it, one operation after the other. */
export class KillsUser {
  readonly history: SecretHistory;
  readonly violations: string[] = [];
  readonly counts = { written: 0, used: 0, refused: 0, failed: 0 };
  /** The last request as it was sent, to be sent once more. */
  lastSent: { readonly url: string; readonly init: RequestInit } | undefined;
  readonly #url: string;
  readonly #account: AccountId;
  readonly #client: SecretClient;
  readonly #dice: Dice;
  #nonce = 0;
  #directory: NodeDirectory;

  constructor(number: number, origin: string, dice: Dice, directory: NodeDirectory) {
    const seed = new SecretBytes(sr25519SeedOf(number));
    this.#account = AccountId.of(sr25519PublicKey(seed.reveal()));
    this.#url = `${origin}/v1/user-${number}`;
    this.#dice = dice;
    this.#directory = directory;
    this.history = { name: `secret-${number}`, tried: [], acknowledged: 0 };
    this.#client = new SecretClient({
      owner: { account: this.#account, seed },
      directory: { nodes: () => this.#directory.nodes(), attest: (node) => this.#directory.attest(node) },
      fetch: (url, init) => {
        if (`${url}`.endsWith('/secrets/request')) this.lastSent = { url: `${url}`, init: init ?? {} };
        return fetch(url, init);
      },
      random: systemRandom,
      now: () => Date.now(),
    });
  }

  /** What is read from the chain grows old. */
  renew(directory: NodeDirectory): void {
    this.#directory = directory;
  }

  /** One operation by dice. */
  async step(): Promise<void> {
    const turn = this.#dice.below(10);
    if (turn < 3) await this.#write('value');
    else if (turn < 4) await this.#write('tombstone');
    else await this.use();
  }

  /** @returns the number of the write that was used, or the code of the refusal. */
  async use(): Promise<number | string> {
    const { acknowledged, name } = this.history;
    this.#nonce += 1;
    const url = `${this.#url}/x?nonce=${name}-${this.#nonce}`;
    const headers: [string, string][] = [['authorization', `Bearer ${PLACEHOLDER}`]];
    const body = new Uint8Array(0);
    const outcome = await this.#client
      .request({ secretUrl: this.#url, verb: 'GET', url, headers, body })
      .then((answer) => Number(Buffer.from(answer.body).toString()), codeOf);
    this.counts[
      typeof outcome === 'number' ? 'used' : outcome === 'SECRET_NOT_FOUND' ? 'refused' : 'failed'
    ] += 1;
    const wrong = judgeOutcome(this.history, acknowledged, outcome);
    if (wrong !== undefined) this.violations.push(wrong);
    return outcome;
  }

  /** After healing a use has to succeed, or to say that the secret was deleted. */
  async settle(): Promise<void> {
    const outcome = await this.use();
    if (typeof outcome === 'number' || outcome === 'SECRET_NOT_FOUND') return;
    this.violations.push(`I2: ${this.history.name} cannot be used in a healed network: ${outcome}`);
  }

  /** Version and kind that the nodes show, newest of each. */
  async shown(): Promise<string | undefined> {
    const [listed] = await this.#client.list();
    return listed === undefined ? undefined : `${listed.version} ${listed.kind}`;
  }

  /** What one node alone shows. */
  async shownBy(node: DevelopmentNode): Promise<string | undefined> {
    const { nodes, attest } = this.#directory;
    const whole = this.#directory;
    const only = (await nodes.call(whole)).filter(({ endpoint }) => endpoint === `127.0.0.1:${node.port}`);
    this.#directory = { nodes: async () => only, attest: (asked) => attest.call(whole, asked) };
    try {
      return await this.shown();
    } finally {
      this.#directory = whole;
    }
  }

  async #write(kind: 'value' | 'tombstone'): Promise<void> {
    const { history } = this;
    const isThere = history.tried[history.acknowledged - 1] === 'value';
    if (kind === 'tombstone' && !isThere) return;
    history.tried.push(kind);
    const number = history.tried.length;
    const acl = {
      paths: [`${new URL(this.#url).pathname}/**`],
      verbs: ['GET' as const],
      headers: ['authorization'],
    };
    const expiresAtMs = Date.now() + YEAR_MS + number;
    const secret = {
      url: this.#url,
      value: utf8(`${VALUE_MARK}-${number}`),
      acl: {
        ...acl,
        callers: [this.#account],
        body: false,
        plainHttp: false,
        expiresAtMs: undefined,
        limit: undefined,
      },
      expiresAtMs,
    };
    try {
      if (kind === 'tombstone') await this.#client.delete(this.#url, expiresAtMs);
      else
        await this.#client.deploy(secret).catch((error) => {
          if (codeOf(error) === 'SECRET_EXISTS') return this.#client.update(secret);
          throw error;
        });
      history.acknowledged = number;
      this.counts.written += 1;
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      this.counts.failed += 1;
    }
  }
}

const codeOf = (error: unknown): string => (error instanceof LatchkeyError ? error.code : String(error));

const sr25519SeedOf = (number: number): Uint8Array => new Uint8Array(32).fill(100 + number);
