import type { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { sr25519Verify } from '../../src/crypto/sr25519.ts';
import { generateX25519KeyPair } from '../../src/crypto/x25519.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import type { Fetch } from '../../src/outbound/bounded-fetch.ts';
import type { RingMember } from '../../src/ring/placement/member.ts';
import { Placement } from '../../src/ring/placement/placement.ts';
import { NodeExchange, NodeRefusal, type SecretOwner } from '../../src/secrets/client/node-exchange.ts';
import { secretFormat } from '../../src/secrets/secret-format.ts';
import { openSecretService, type SecretSettings } from '../../src/secrets/service/open-service.ts';
import type { SecretRing } from '../../src/secrets/service/secret-ring.ts';
import { UserIndex } from '../../src/secrets/service/user-index.ts';
import type { SecretRoute } from '../../src/secrets/signed-request.ts';
import { MemoryStore } from './memory-store.ts';
import { MemoryReplicaStore } from './ring-records.ts';
import { NOW_MS } from './secret-records.ts';
import { looseSettings } from './secret-ring.ts';

/** A member at the place of a byte: the nearest ones to an id are those whose bytes are most like its first. */
export const memberAt = (account: AccountId, first: number): RingMember => ({
  account,
  stash: account,
  platform: toHex(account),
  position: new Uint8Array(32).fill(first, 0, 1),
});

/** A ring of one node, in memory. */
export class LoneRing {
  readonly store = new MemoryReplicaStore();
  readonly marks = new Set<string>();
  readonly index = new UserIndex();
  readonly #kept = this.index.around(this.store);
  view: SecretRing['view'];
  /** What a write says when it is not stored. */
  instead: Awaited<ReturnType<SecretRing['write']>> | undefined;
  writes = 0;

  constructor(members: readonly RingMember[], replicas = 4) {
    this.view = { block: 1, timestampMs: NOW_MS, placement: new Placement(members, replicas) };
  }

  read: SecretRing['read'] = async (id) => {
    const bytes = await this.store.get(toHex(id));
    return { entry: bytes === undefined ? undefined : secretFormat.read(bytes) };
  };

  write: SecretRing['write'] = async (bytes) => {
    if (this.instead !== undefined) return this.instead;
    this.writes += 1;
    await this.#kept.put(toHex(secretFormat.read(bytes).id), bytes.slice());
    return { kind: 'written' };
  };

  mark: SecretRing['mark'] = async (id, mark) => {
    const name = `${toHex(id)} ${mark}`;
    if (this.marks.has(name)) return false;
    this.marks.add(name);
    return true;
  };
}

/** The routes of secrets of one node, without HTTP. */
export async function loneService(account: AccountId, ring: LoneRing, change: Partial<SecretSettings> = {}) {
  const x25519 = generateX25519KeyPair();
  const world = {
    nowMs: NOW_MS,
    slept: [] as number[],
    codes: [] as string[],
    logged: [] as unknown[],
    /** Bodies as they came over the network. */
    sent: [] as { readonly route: SecretRoute; readonly body: unknown }[],
    requireRoom: async (_id: string, _bytes: number): Promise<void> => undefined,
  };
  const { service, close } = await openSecretService({
    store: new MemoryStore(),
    identity: { account, x25519 },
    ring: () => ring,
    index: ring.index,
    settings: { ...looseSettings, ...change },
    isSigned: sr25519Verify,
    fleet: () => [],
    resolve: async () => ['127.0.0.1'],
    ownAddresses: () => [],
    random: systemRandom,
    now: () => world.nowMs,
    blockMs: () => world.nowMs,
    sleep: async (milliseconds) => void world.slept.push(milliseconds),
    requireRoom: (id, bytes) => world.requireRoom(id, bytes),
    log: (level, event, fields) => world.logged.push({ level, event, ...fields }),
    onAnswer: (_route, code) => world.codes.push(code),
  });
  const fetch: Fetch = async (url, init) => {
    // A route of `NodeExchange`, and the JSON that it sends.
    const route = url.slice(url.lastIndexOf('/') + 1) as SecretRoute;
    const body: unknown = JSON.parse(String(init.body));
    world.sent.push({ route, body });
    return Response.json(await service.answer(route, body, 'request-1'));
  };
  const node = { account, x25519PublicKey: X25519PublicKey.of(x25519.publicKey), endpoint: 'node.test:1' };
  /** What it answers; a refusal as its error. */
  const ask = async (owner: SecretOwner, route: SecretRoute, body: Uint8Array): Promise<unknown> => {
    const now = () => world.nowMs;
    const exchange = new NodeExchange({ owner, fetch, random: systemRandom, now, timeoutMs: 60_000 });
    try {
      return await exchange.ask(node, route, body);
    } catch (error) {
      if (error instanceof NodeRefusal) return error.error;
      throw error;
    }
  };
  /** The code of its refusal, `none` without one. */
  const codeOf = async (owner: SecretOwner, route: SecretRoute, body: Uint8Array): Promise<string> => {
    const answer = await ask(owner, route, body);
    return answer instanceof LatchkeyError ? answer.code : 'none';
  };
  return { world, service, close, ask, codeOf, x25519 };
}
