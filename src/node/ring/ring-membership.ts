import type { OpenNode } from '../../boot/node/open-node.ts';
import type { ServerVetter } from '../../boot/obtain/vet-server.ts';
import type { PeerClient } from '../../boot/peer/peer-client.ts';
import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot, ChainView } from '../../chain/chain-view.ts';
import type { Config } from '../../config/schema.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import type { OwnAttestation } from '../../keyserver/own-attestation.ts';
import type { EvidenceVerifier } from '../../keyserver/verify.ts';
import type { Log } from '../../observe/log.ts';
import type { Exchange } from '../../outbound/bounded-http.ts';
import {
  type PlatformProof,
  type RegisteredServer,
  type RingConstants,
  viewOf,
} from '../../ring/members/registry.ts';
import { placeMember } from '../../ring/placement/member.ts';
import type { RecordBounds, RecordFormat, ReplicaStore } from '../../ring/replication/entry.ts';
import { RingNode } from '../../ring/replication/ring-node.ts';
import { StoredMarks } from '../../ring/replication/stored-marks.ts';
import type { Clock } from '../../time/clock.ts';
import type { ChainWatch } from '../chain-watch.ts';
import type { Drain } from '../drain.ts';
import { ChannelCaller } from './channel-caller.ts';
import { ChannelDesk } from './channel-desk.ts';
import { MemberPace } from './member-pace.ts';
import { OwnEnds } from './own-ends.ts';
import { PeerProofs } from './peer-proofs.ts';
import { RegistryFollower } from './registry-follower.ts';
import { ReplicaRecords } from './replica-records.ts';
import { RingMail } from './ring-mail.ts';
import { RingState } from './ring-state.ts';

/** Between two rounds while a change is under way or this node is not complete. */
const HURRIED_MS = 1_000;

/** What a node does for the ring. */
export type RingStanding =
  /** The chain does not show it as a member yet, or any more. */
  | 'no-member'
  /** It does not know all registries yet. */
  | 'behind'
  /** A member that does not have all records of its ranges. */
  | 'joining'
  | 'serving'
  /** It hands its records over, before a planned stop. */
  | 'draining'
  /** Its store takes no writes. */
  | 'stopped';

/** What status, `/readyz` and metrics say of the ring. */
export interface RingReport {
  readonly standing: RingStanding;
  /** Members by the newest registry. */
  readonly members: number;
  /** The newest boundary that is known. */
  readonly boundary: number;
  /** Block of the view by which it serves. */
  readonly view?: number;
  readonly records: number;
  readonly bytes: number;
  /** Whether the members that stay have all records of this node, while it drains. */
  readonly handedOver?: boolean;
  /** Members that have another registry at the same boundary, SS58. */
  readonly differing?: readonly string[];
  readonly problem?: string;
}

/** What a membership is made of. */
export interface RingMembershipParts {
  readonly constants: RingConstants;
  readonly bounds: Config['ring'];
  readonly node: Pick<OpenNode, 'identity' | 'store'>;
  readonly chain: ChainView;
  readonly watch: ChainWatch;
  readonly vetter: ServerVetter;
  readonly evidenceVerifier: EvidenceVerifier;
  readonly provenPlatform: PlatformProof;
  readonly attestation: OwnAttestation;
  readonly client: Pick<PeerClient, 'attestation'>;
  readonly exchange: Exchange;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly drain: Pick<Drain, 'isDraining'>;
  readonly format: RecordFormat;
  /** An operator accepted a disk that is older than what servers remember: its records count as incomplete. */
  readonly isOlderDisk: boolean;
  /** Puts something around the store of the records, such as an index of their users. */
  readonly wrapStore?: (store: ReplicaStore) => ReplicaStore;
  /** Without it every record has room. */
  readonly isWithinBounds?: RecordBounds;
}

/** This node's part in the ring: follows the members, holds records, repairs, and answers the others. */
export class RingMembership {
  readonly desk: ChannelDesk;
  readonly #parts: RingMembershipParts;
  readonly #caller: ChannelCaller;
  readonly #mail: RingMail;
  readonly #follower: RegistryFollower;
  readonly #state: RingState;
  readonly #records: ReplicaRecords;
  readonly #stop = new AbortController();
  readonly #differing = new Set<string>();
  #ring: RingNode | undefined;
  #ownAnchor = '';
  /** Block of the newest registry that the ring's node was given. */
  #adopted = 0;
  #isBehind = true;
  #isAhead = false;
  #handedOver = false;
  #wasDraining = false;
  #problem: string | undefined;

  private constructor(parts: RingMembershipParts, state: RingState, records: ReplicaRecords) {
    this.#parts = parts;
    this.#state = state;
    this.#records = records;
    const { clock, watch, vetter, chain, bounds, node, random } = parts;
    const now = () => clock.nowMs();
    const proofs = new PeerProofs({ chain, watch, vetter, now });
    const { x25519: keyPair } = node.identity;
    const ends = new OwnEnds({ ...parts, keyPair, now });
    const { signal } = this.#stop;
    const channel = { ends, proofs, now };
    this.#caller = new ChannelCaller({
      ...channel,
      client: parts.client,
      exchange: parts.exchange,
      timeoutMs: bounds.timeoutMs,
      maxAgeMs: bounds.attestEveryMs,
      signal,
    });
    const pace = new MemberPace(
      () => performance.now(),
      (milliseconds) => clock.sleep(milliseconds, signal),
    );
    this.#mail = new RingMail({
      state,
      node: () => this.#ring,
      mayServe: () => node.store.takesWrites,
      ask: (to, content) => this.#caller.ask(to, content),
      pace: (member, units) => pace.wait(member, units),
      onAhead: () => this.#noteAhead(),
      onDiffers: (account) => this.#noteDiffers(account),
    });
    this.desk = new ChannelDesk({
      ...channel,
      service: (from, content) => this.#mail.answer(from, content),
      // The opener renews it first.
      maxAgeMs: 2 * bounds.attestEveryMs,
    });
    this.#follower = new RegistryFollower({
      ...parts,
      state,
      ask: (to, after) => this.#mail.registriesOf(to, after),
      random: () => (random(1)[0] ?? 0) / 256,
    });
  }

  /** Reads its memory. @throws what the store throws; EvidenceError when its memory is damaged. */
  static async open(parts: RingMembershipParts): Promise<RingMembership> {
    const { store } = parts.node;
    const state = await RingState.open(store, parts.constants);
    const records = await ReplicaRecords.open(store, parts.bounds, () => parts.clock.nowMs());
    return new RingMembership(parts, state, records);
  }

  /** The ring's node for services of this node; `undefined` while it is no member. */
  get node(): RingNode | undefined {
    return this.#ring;
  }

  /** As `ReplicaRecords.requireRoom`. */
  requireRoom(id: string, bytes: number): Promise<void> {
    return this.#records.requireRoom(id, bytes);
  }

  /** Works for the ring until it is closed. A round that fails is logged, and made up for by the next one. */
  async run(): Promise<void> {
    const { clock, log, bounds } = this.#parts;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#round();
        this.#problem = undefined;
      } catch (error) {
        const problem = error instanceof LatchkeyError ? `${error.code}: ${error.message}` : String(error);
        if (problem !== this.#problem && !this.#stop.signal.aborted)
          log('warn', 'ring.round-failed', { problem });
        this.#problem = problem;
      }
      const isCalm = this.report().standing === 'serving' && !this.#isAhead;
      await clock.sleep(
        isCalm ? bounds.intervalMs : Math.min(HURRIED_MS, bounds.intervalMs),
        this.#stop.signal,
      );
    }
  }

  /** Ends all work and erases the keys of all sessions. */
  close(): void {
    this.#stop.abort();
    this.#caller.wipe();
    this.desk.wipe();
  }

  /** What status, `/readyz` and metrics say. */
  report(): RingReport {
    const { log } = this.#state;
    const differing = [...this.#differing];
    const problem = this.#problem ?? this.#follower.problem;
    const { isDraining } = this.#parts.drain;
    return {
      standing: this.#standing(),
      members: log.newest.servers.filter(({ anchor }) => anchor !== undefined).length,
      boundary: log.upTo,
      ...(this.#ring === undefined ? {} : { view: this.#ring.view.block }),
      records: this.#records.count,
      bytes: this.#records.bytes,
      ...(isDraining ? { handedOver: this.#handedOver } : {}),
      ...(differing.length === 0 ? {} : { differing }),
      ...(problem === undefined ? {} : { problem }),
    };
  }

  #standing(): RingStanding {
    const { node, drain } = this.#parts;
    if (!node.store.takesWrites) return 'stopped';
    if (this.#isBehind) return 'behind';
    if (this.#ring === undefined || this.#own() === undefined) return 'no-member';
    if (drain.isDraining) return 'draining';
    return this.#ring.isReady ? 'serving' : 'joining';
  }

  async #round(): Promise<void> {
    const { chain, node } = this.#parts;
    if (!node.store.takesWrites) return;
    const snapshot = await chain.snapshot();
    await this.#follow(snapshot);
    if (this.#isBehind || this.#stop.signal.aborted) return;
    await this.#openRing();
    const ring = this.#ring;
    if (ring === undefined) return;
    ring.advance(snapshot.block.timestampMs ?? 0);
    this.#adopt(ring);
    await this.#work(ring);
    await this.#saveServed(ring);
  }

  async #follow({ block, servers }: ChainSnapshot): Promise<void> {
    const { account } = this.#parts.node.identity;
    const others = servers.filter((record) => !equalBytes(record.account, account));
    const isAhead = this.#isAhead;
    this.#isAhead = false;
    const needed = this.#ring?.view.block ?? this.#state.served?.view ?? 0;
    await this.#follower.advance(block.number, others, needed, isAhead);
    this.#isBehind = !this.#follower.isUpTo(block.number);
  }

  /** Gives the ring's node the registries that it does not have yet; they are on the disk. */
  #adopt(ring: RingNode): void {
    const { registries } = this.#state.log;
    for (const registry of registries.filter(({ block }) => block > this.#adopted)) {
      ring.adopt(viewOf(registry, this.#parts.constants));
      this.#adopted = registry.block;
    }
  }

  async #work(ring: RingNode): Promise<void> {
    const { isDraining } = this.#parts.drain;
    this.#handedOver = isDraining ? await ring.drain() : false;
    if (!isDraining) await ring.repair();
    // A node that was told to drain says so for as long as it lives; another one takes its place.
    if (this.#wasDraining && !isDraining) this.#ring = undefined;
    this.#wasDraining = isDraining;
  }

  #own(): RegisteredServer | undefined {
    const { account } = this.#parts.node.identity;
    const own = this.#state.log.newest.servers.find((server) => equalBytes(server.account, account));
    return own?.anchor === undefined ? undefined : own;
  }

  /** Opens the ring's node once this node is a member; again when it has another place in the ring than before. */
  async #openRing(): Promise<void> {
    const own = this.#own();
    if (own?.anchor === undefined) return;
    const anchor = toHex(own.anchor);
    if (this.#ring !== undefined && anchor === this.#ownAnchor) return;
    const { served, log } = this.#state;
    const { isOlderDisk, format, wrapStore = (store) => store, constants, node } = this.#parts;
    const { generation } = node.store.head();
    const known = served === undefined ? undefined : log.at(served.view);
    const isSame =
      !isOlderDisk &&
      served?.anchor === anchor &&
      served.storeGeneration === generation &&
      known?.block === served.view;
    const begin = isSame ? known : (log.at(this.#follower.serving ?? -1) ?? log.oldest);
    this.#ownAnchor = anchor;
    this.#adopted = begin.block;
    this.#ring = await RingNode.open({
      own: placeMember({ ...own, anchor: own.anchor }),
      view: viewOf(begin, constants),
      complete: isSame ? served.complete : -1,
      format,
      store: wrapStore(this.#records),
      isWithinBounds: this.#parts.isWithinBounds,
      marks: new StoredMarks(await node.store.namespace('latchkey/ring-marks')),
      transport: this.#mail.transport,
    });
    this.#parts.log('info', 'ring.member', { view: begin.block, complete: isSame ? served.complete : -1 });
  }

  async #saveServed(ring: RingNode): Promise<void> {
    await this.#state.saveServed({
      view: ring.view.block,
      complete: ring.status().complete,
      anchor: this.#ownAnchor,
      storeGeneration: this.#parts.node.store.head().generation,
    });
  }

  /** Not at once: a member that says so again and again must not make this node ask all others as often. */
  #noteAhead(): void {
    this.#isAhead = true;
  }

  #noteDiffers(account: AccountId): void {
    const name = encodeSs58(account);
    if (this.#differing.has(name)) return;
    this.#differing.add(name);
    this.#parts.log('error', 'ring.registries-differ', { member: name });
  }
}
