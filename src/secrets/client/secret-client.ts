import { z } from 'zod';
import { parseBase64 } from '../../bytes/base64.ts';
import { concatBytes, equalBytes } from '../../bytes/concat.ts';
import type { AccountId, RecordId } from '../../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { EvidenceError, type LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import type { Fetch } from '../../outbound/bounded-fetch.ts';
import type { Acl } from '../acl.ts';
import {
  compareRecords,
  decodeRecord,
  type SecretContent,
  type SecretRecord,
  signRecord,
} from '../record.ts';
import type { WantedRequest } from '../relay/outgoing-request.ts';
import type { UpstreamAnswer } from '../relay/upstream.ts';
import { parseScope, type SecretScope, secretId } from '../scope.ts';
import type { SecretRoute } from '../signed-request.ts';
import { encodeUse, IDEMPOTENCY_KEY_BYTES } from '../use-request.ts';
import { encodeEntry, hashValue, saltValue, secretEntry } from '../value.ts';
import { NodeExchange, NodeRefusal, type SecretNode, type SecretOwner } from './node-exchange.ts';

/** Which nodes there are, and whether they are what they say. */
export interface NodeDirectory {
  /** The registered nodes, as the chain has them. */
  nodes(): Promise<readonly SecretNode[]>;
  /** Proves that a node is, now, a machine that its user accepts. @throws otherwise; nothing is sent to it then. */
  attest(node: SecretNode): Promise<void>;
}

/** A secret to be left with the ring. */
export interface NewSecret {
  /** Origin and path prefix to which the secret belongs. */
  readonly url: string;
  /** Copied; the caller wipes it. */
  readonly value: Uint8Array;
  readonly acl: Acl;
  readonly expiresAtMs: number;
}

/** A request with a secret. */
export interface SecretRequest extends WantedRequest {
  /** Origin and path prefix of the secret. */
  readonly secretUrl: string;
  /** The account that owns the secret; by default, the caller. */
  readonly owner?: AccountId;
  /** 16 bytes; without it, new ones. The same bytes once more do not make a second request. */
  readonly idempotencyKey?: Uint8Array;
}

/** A secret as `list` shows it. */
export interface ListedSecret {
  readonly id: string;
  readonly kind: 'secret' | 'tombstone';
  readonly version: number;
  readonly expiresAtMs: number;
  readonly origin: string;
  readonly pathPrefix: string;
}

const listAnswer = z.object({
  /** Base64. */
  records: z.array(z.string()),
  holders: z.record(z.string(), z.array(z.string())),
});
const relayedAnswer = z.object({
  status: z.int(),
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.string(),
});

/** Refusals of one node that another one may not share. */
const ofOneNode: ReadonlySet<string> = new Set([
  ...['RING_NOT_READY', 'RING_NOT_MEMBER', 'RING_OTHER_CONFIGURATION', 'RING_QUORUM_MISSING', 'RATE_LIMITED'],
  ...['SECRET_NOT_HOLDER', 'SECRET_RELAY_BUSY', 'SECRET_RING_FULL', 'SECRET_USER_REFUSED', 'SECRET_QUOTA'],
  ...['RING_FULL', 'INTERNAL'],
]);

/** A user's side of the ring: finds the nodes that hold a secret, attests each, and asks the nearest first. */
export class SecretClient {
  readonly #owner: SecretOwner;
  readonly #directory: NodeDirectory;
  readonly #exchange: NodeExchange;
  readonly #random: RandomSource;
  /** The newest version that this client signed, by id: a write that failed may still lie at one holder. */
  readonly #signed = new Map<string, number>();

  constructor(parts: {
    readonly owner: SecretOwner;
    readonly directory: NodeDirectory;
    readonly fetch: Fetch;
    readonly random: RandomSource;
    readonly now: () => number;
    /** For one request to one node. */
    readonly timeoutMs?: number;
  }) {
    this.#owner = parts.owner;
    this.#directory = parts.directory;
    this.#random = parts.random;
    this.#exchange = new NodeExchange({ timeoutMs: 30_000, ...parts });
  }

  /** Leaves a secret with its holders. @returns its version. @throws LatchkeyError. */
  deploy(secret: NewSecret): Promise<number> {
    return this.#write('deploy', secret);
  }

  /** Replaces a secret. @returns its version. @throws LatchkeyError. */
  update(secret: NewSecret): Promise<number> {
    return this.#write('update', secret);
  }

  /**
   * Deletes a secret.
   * @param expiresAtMs how long the deletion is remembered; not shorter than the secret lasts.
   * @returns the version of the tombstone. @throws LatchkeyError.
   */
  async delete(url: string, expiresAtMs: number): Promise<number> {
    const scope = parseScope(url);
    const id = secretId(this.#owner.account, scope);
    const version = await this.#nextVersion(id);
    const record = signRecord(this.#owner.seed, {
      ...this.#common(scope, expiresAtMs),
      kind: 'tombstone',
      version,
    });
    const entry = encodeEntry(secretEntry(record, new SecretBytes(new Uint8Array(0))));
    await this.#askHolders(id, 'delete', entry);
    return version;
  }

  /** Has a request made with a secret. @throws LatchkeyError; SECRET_OUTCOME_UNKNOWN when it may have been made. */
  async request(wanted: SecretRequest): Promise<UpstreamAnswer> {
    const { secretUrl, owner = this.#owner.account, verb, url, headers, body } = wanted;
    const id = secretId(owner, parseScope(secretUrl));
    const idempotencyKey = wanted.idempotencyKey ?? this.#random(IDEMPOTENCY_KEY_BYTES);
    const content = encodeUse({ id, idempotencyKey, verb, url, headers, body });
    const answer = relayedAnswer.parse(await this.#askHolders(id, 'request', content));
    return { ...answer, body: parseBase64(answer.body, 'body') };
  }

  /** All secrets of the user that the nodes show, the newest record of each; also tombstones. @throws LatchkeyError. */
  async list(): Promise<readonly ListedSecret[]> {
    const nodes = await this.#directory.nodes();
    const newest = new Map<string, SecretRecord>();
    for (const record of await this.#records(nodes, new Uint8Array(0))) {
      const id = toPrefixedHex(record.id);
      const present = newest.get(id);
      if (present === undefined || compareRecords(record, present) > 0) newest.set(id, record);
    }
    return [...newest]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, { content }]) => listedSecret(id, content));
  }

  async #write(route: 'deploy' | 'update', { url, value, acl, expiresAtMs }: NewSecret): Promise<number> {
    const scope = parseScope(url);
    const id = secretId(this.#owner.account, scope);
    const salted = saltValue(value, this.#random);
    try {
      const version = await this.#nextVersion(id);
      const record = signRecord(this.#owner.seed, {
        ...this.#common(scope, expiresAtMs),
        kind: 'secret',
        version,
        valueHash: hashValue(salted),
        acl,
      });
      const entry = encodeEntry(secretEntry(record, salted));
      await this.#askHolders(id, route, entry).finally(() => entry.fill(0));
      return version;
    } finally {
      salted.wipe();
    }
  }

  #common(scope: SecretScope, expiresAtMs: number) {
    return { ...scope, account: this.#owner.account, expiresAtMs };
  }

  /** One more than every version that a holder shows, and that this client tried before. */
  async #nextVersion(id: RecordId): Promise<number> {
    const name = toPrefixedHex(id);
    const version = Math.max(await this.#versionOf(id), this.#signed.get(name) ?? 0) + 1;
    this.#signed.set(name, version);
    return version;
  }

  /** The newest version that a holder shows by a signed record, 0 when there is none. */
  async #versionOf(id: RecordId): Promise<number> {
    const records = await this.#records(await this.#holdersOf(id), id);
    const versions = records
      .filter((record) => equalBytes(record.id, id))
      .map(({ content }) => content.version);
    return versions.reduce((most, version) => Math.max(most, version), 0);
  }

  /** The nodes that hold an id, nearest first, by the first attested node that says so. */
  async #holdersOf(id: RecordId): Promise<readonly SecretNode[]> {
    const nodes = await this.#directory.nodes();
    const failures: unknown[] = [];
    for (const node of nodes) {
      try {
        const { holders } = listAnswer.parse(await this.#ask(node, 'list', concatBytes(id)));
        const accounts = holders[toPrefixedHex(id)] ?? [];
        const known = accounts.map((account) => nodes.find((other) => encodeSs58(other.account) === account));
        const found = known.filter((other) => other !== undefined);
        if (found.length > 0) return found;
      } catch (error) {
        failures.push(error);
      }
    }
    throw nobody(failures);
  }

  /**
   * Records of the user that nodes list, of those that answer; one at least. A node that lists anything else than what the
   * user signed is not believed at all.
   */
  async #records(nodes: readonly SecretNode[], ids: Uint8Array): Promise<readonly SecretRecord[]> {
    const verified = new Map<string, SecretRecord>();
    const answers = await Promise.allSettled(
      nodes.map(async (node) => {
        for (const text of listAnswer.parse(await this.#ask(node, 'list', ids)).records)
          if (!verified.has(text)) verified.set(text, this.#ownRecord(text));
      }),
    );
    const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
    if (failures.length < nodes.length) return [...verified.values()];
    throw nobody(failures);
  }

  /** @throws EvidenceError for everything that this user did not sign. */
  #ownRecord(text: string): SecretRecord {
    const record = decodeRecord(parseBase64(text, 'records'));
    if (equalBytes(record.content.account, this.#owner.account)) return record;
    throw new EvidenceError('SECRET_RECORD_INVALID', 'the node lists a record of another account', {
      field: 'records',
    });
  }

  async #askHolders(id: RecordId, route: SecretRoute, body: Uint8Array): Promise<unknown> {
    const failures: unknown[] = [];
    for (const node of await this.#holdersOf(id)) {
      try {
        return await this.#ask(node, route, body);
      } catch (error) {
        if (error instanceof NodeRefusal && !ofOneNode.has(error.error.code)) throw error.error;
        failures.push(error);
      }
    }
    throw nobody(failures);
  }

  /** Attests first: what is sealed to a node that is not accepted is lost. */
  async #ask(node: SecretNode, route: SecretRoute, body: Uint8Array): Promise<unknown> {
    await this.#directory.attest(node);
    return this.#exchange.ask(node, route, body);
  }
}

const listedSecret = (
  id: string,
  { kind, version, expiresAtMs, origin, pathPrefix }: SecretContent,
): ListedSecret => ({ id, kind, version, expiresAtMs, origin, pathPrefix });

/** The refusal of a node that answered tells most; else why each one did not. */
function nobody(failures: readonly unknown[]): LatchkeyError {
  const refusal = failures.find((failure) => failure instanceof NodeRefusal);
  if (refusal instanceof NodeRefusal) return refusal.error;
  const reasons = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
  return new ProblemError('NODE_UNREACHABLE', 'no node that is accepted answered', {
    observed: reasons.join('; ').slice(0, 500),
  });
}
