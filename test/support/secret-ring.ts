import { AccountId, BlockHash, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { sr25519Verify } from '../../src/crypto/sr25519.ts';
import { generateX25519KeyPair, type X25519KeyPair } from '../../src/crypto/x25519.ts';
import { ProblemError } from '../../src/errors/latchkey-error.ts';
import { type Listener, listen } from '../../src/http/listener.ts';
import { appWithMiddleware } from '../../src/http/middleware.ts';
import { MAX_SECRET_BODY_BYTES, secretRoutes } from '../../src/http/secret-routes.ts';
import { silentLog } from '../../src/observe/log.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { placeMember, type RingMember } from '../../src/ring/placement/member.ts';
import { Placement } from '../../src/ring/placement/placement.ts';
import type { RingView } from '../../src/ring/placement/views.ts';
import { RingNode } from '../../src/ring/replication/ring-node.ts';
import { StoredMarks } from '../../src/ring/replication/stored-marks.ts';
import type { SecretNode } from '../../src/secrets/client/node-exchange.ts';
import type { NodeDirectory } from '../../src/secrets/client/secret-client.ts';
import { rememberSignatures, type SignatureCheck } from '../../src/secrets/remember-signatures.ts';
import { secretFormatBy } from '../../src/secrets/secret-format.ts';
import {
  type OpenSecretService,
  openSecretService,
  type SecretSettings,
} from '../../src/secrets/service/open-service.ts';
import { UserIndex } from '../../src/secrets/service/user-index.ts';
import { recordBounds } from '../../src/secrets/service/write-bounds.ts';
import { MemoryStore, type MemoryStoreHooks } from './memory-store.ts';
import { MemoryReplicaStore } from './ring-records.ts';
import { NOW_MS } from './secret-records.ts';

/** One node: what lies on its disk stays when its process ends. */
export interface SecretMachine {
  readonly member: RingMember;
  readonly x25519: X25519KeyPair;
  readonly store: MemoryStore;
  readonly records: MemoryReplicaStore;
  readonly hooks: { -readonly [Name in keyof MemoryStoreHooks]: MemoryStoreHooks[Name] };
  /** As `ReplicaRecords.requireRoom`. */
  requireRoom: (id: string, bytes: number) => Promise<void>;
  index: UserIndex;
  /** Signatures that the process verified, and did not remember. */
  verified: number;
  ring: RingNode | undefined;
  open: OpenSecretService | undefined;
  listener: Listener | undefined;
}

export const looseSettings: SecretSettings = {
  users: 'all',
  perUser: { records: 64, bytes: 1024 * 1024 },
  maxRecords: 1000,
  rate: { burst: 10_000, perSecond: 10_000 },
  relay: {
    bounds: {
      totalMs: 20_000,
      idleMs: 20_000,
      maxAnswerBytes: 1024 * 1024,
      maxConcurrent: 64,
      maxConcurrentPerUser: 64,
      maxConcurrentPerOwner: 64,
    },
    allowAddresses: ['127.0.0.1'],
    authorities: [],
  },
};

/** Real nodes of a ring in one process, with real HTTP before them; between them messages go by calls. */
export class SecretRingBench implements AsyncDisposable {
  readonly machines = new Map<string, SecretMachine>();
  nowMs = NOW_MS;
  /** Time of the newest block; as the clocks of the machines show it where it is not set. */
  blockMs: number | undefined;
  settings: SecretSettings;
  resolve = async (_name: string): Promise<readonly string[]> => ['127.0.0.1'];
  /** What all nodes logged. */
  readonly logged: string[] = [];
  /** Answers by code. */
  readonly codes: string[] = [];
  #view: RingView | undefined;

  private constructor(settings: SecretSettings) {
    this.settings = settings;
  }

  static async start(count: number, settings: SecretSettings = looseSettings): Promise<SecretRingBench> {
    const bench = new SecretRingBench(settings);
    for (let at = 0; at < count; at++) bench.#add();
    const members = [...bench.machines.values()].map(({ member }) => member);
    bench.#view = { block: 1, timestampMs: NOW_MS, placement: new Placement(members) };
    for (const machine of bench.machines.values()) await bench.boot(machine);
    for (const machine of bench.machines.values()) await machine.ring?.repair();
    return bench;
  }

  #add(): void {
    const account = AccountId.of(systemRandom(32));
    const member = placeMember({
      account,
      stash: AccountId.of(systemRandom(32)),
      platform: toHex(account),
      anchor: BlockHash.of(systemRandom(32)),
    });
    const hooks = {};
    this.machines.set(toHex(account), {
      member,
      x25519: generateX25519KeyPair(),
      hooks,
      store: new MemoryStore(hooks),
      records: new MemoryReplicaStore(),
      requireRoom: async () => undefined,
      index: new UserIndex(),
      verified: 0,
      ring: undefined,
      open: undefined,
      listener: undefined,
    });
  }

  /** Starts the process of a machine. */
  async boot(machine: SecretMachine): Promise<void> {
    const { member, store, records } = machine;
    machine.index = new UserIndex();
    const isSigned = rememberSignatures((...signed: Parameters<SignatureCheck>) => {
      machine.verified += 1;
      return sr25519Verify(...signed);
    });
    machine.ring = await RingNode.open({
      own: member,
      view: this.#view ?? { block: 1, timestampMs: NOW_MS, placement: new Placement([]) },
      complete: 1,
      format: secretFormatBy(isSigned),
      store: machine.index.around(records),
      isWithinBounds: recordBounds(machine.index, this.settings),
      marks: new StoredMarks(await store.namespace('latchkey/ring-marks')),
      transport: {
        ask: async (to, request) => {
          const peer = this.machines.get(toHex(to.account))?.ring;
          if (peer === undefined) throw new Error('no answer');
          return peer.answer(toHex(member.account), request);
        },
      },
    });
    machine.open = await openSecretService({
      store,
      identity: { account: member.account, x25519: machine.x25519 },
      ring: () => machine.ring ?? this.#off(),
      index: machine.index,
      isSigned,
      settings: this.settings,
      fleet: () => this.nodes().map(({ endpoint }) => endpoint),
      ownAddresses: () => [],
      resolve: (name) => this.resolve(name),
      random: systemRandom,
      now: () => this.nowMs,
      blockMs: () => this.blockMs ?? this.nowMs,
      sleep: async (milliseconds) => {
        this.nowMs += milliseconds;
      },
      requireRoom: (id, bytes) => machine.requireRoom(id, bytes),
      log: (level, event, fields) => this.logged.push(JSON.stringify({ level, event, ...fields })),
      onAnswer: (_route, code) => this.codes.push(code),
    });
    const app = appWithMiddleware({
      log: silentLog,
      metrics: new Metrics(),
      random: systemRandom,
      now: () => this.nowMs,
      maxBodyBytes: MAX_SECRET_BODY_BYTES,
      deadlineMs: 60_000,
      peerAddress: () => undefined,
    });
    secretRoutes(app, () => machine.open?.service ?? this.#off());
    machine.listener = await listen(app.fetch, { host: '127.0.0.1', port: machine.listener?.port ?? 0 });
  }

  /** Ends the process of a machine; its disk stays. */
  async kill(machine: SecretMachine): Promise<void> {
    machine.ring = undefined;
    // First: nobody hears an answer of a process that is gone.
    await machine.listener?.close(0);
    machine.open?.close();
    machine.open = undefined;
  }

  /** The machine at a place in the order of distance from an id; the nearest one is at place 0. */
  holder(id: Uint8Array, place = 0): SecretMachine {
    const account = this.#view?.placement.replicasOf(id)[place]?.account;
    const machine = account === undefined ? undefined : this.machines.get(toHex(account));
    if (machine === undefined) throw new Error(`the ring has no holder ${place}`);
    return machine;
  }

  /** A machine that does not hold an id. */
  stranger(id: Uint8Array): SecretMachine {
    const holders = this.#view?.placement.replicasOf(id) ?? [];
    const machine = [...this.machines.values()].find(({ member }) => !holders.includes(member));
    if (machine === undefined) throw new Error('every member is a holder');
    return machine;
  }

  nodeOf({ member, x25519, listener }: SecretMachine): SecretNode {
    return {
      account: member.account,
      x25519PublicKey: X25519PublicKey.of(x25519.publicKey),
      endpoint: (listener?.url ?? 'http://127.0.0.1:1').slice('http://'.length),
    };
  }

  nodes(): readonly SecretNode[] {
    return [...this.machines.values()].map((machine) => this.nodeOf(machine));
  }

  /** A directory that accepts all nodes but these. */
  directory(refused: readonly SecretMachine[] = []): NodeDirectory {
    const names = refused.map(({ member }) => toHex(member.account));
    return {
      nodes: async () => this.nodes(),
      attest: async ({ account }) => {
        if (names.includes(toHex(account))) throw new Error('not attested');
      },
    };
  }

  #off(): never {
    throw new ProblemError('NODE_LOCKED', 'the process has ended');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.machines.values()) await this.kill(machine);
  }
}
