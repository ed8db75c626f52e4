import type { NodeState } from '../boot/node/node-state.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import type { Config } from '../config/schema.ts';
import { platformHash } from '../trust/platform-lists.ts';
import { type Acceptance, acceptanceOf } from './acceptance.ts';
import type { GuardianRooms } from './build-guardian.ts';
import type { ChainWatch } from './chain-watch.ts';
import { FleetRekey } from './fleet-rekey.ts';
import type { FleetReport } from './fleet-report.ts';
import { type FleetWatch, fleetWatchOf } from './fleet-watch.ts';
import { type KeyslotReport, keyslotReport } from './keyslot-report.ts';
import type { NodeParts } from './parts.ts';
import type { Rotation } from './rotation.ts';

/** The parts of a node that its fleet uses. */
interface FleetMember {
  readonly open: () => OpenNode | undefined;
  readonly state: () => NodeState;
  readonly rotation: Rotation;
  /** Called after a manifest was taken. */
  readonly onChange: () => void;
}

/** A node as a member of its fleet: manifests, the request for a new store key, and what it says of both. */
export class NodeFleet {
  /** `undefined` where the trust section names no authority. */
  readonly watch: FleetWatch | undefined;
  readonly #rekey: FleetRekey;
  readonly #slots: Pick<Parameters<typeof keyslotReport>[0], 'chain'> & Pick<FleetMember, 'open' | 'state'>;
  readonly #clock: NodeParts['clock'];
  #rooms: Pick<GuardianRooms, 'judge' | 'vetter'> | undefined;
  #ppid: Uint8Array | undefined;

  constructor(config: Config, parts: NodeParts, chain: ChainWatch, node: FleetMember) {
    this.watch = fleetWatchOf(config, parts, chain, node.onChange);
    this.#slots = { chain, open: node.open, state: node.state };
    this.#clock = parts.clock;
    this.#rekey = new FleetRekey({
      ...parts,
      wanted: () => this.watch?.granting().rekey,
      node: node.open,
      isBacked: () => node.state().name === 'backed',
      rotation: node.rotation,
    });
  }

  /** The machine was examined: from now on its platform is known. @param ppid 16 bytes. */
  examined(rooms: Pick<GuardianRooms, 'judge' | 'vetter'>, ppid: Uint8Array): void {
    this.#rooms = rooms;
    this.#ppid = ppid;
  }

  /** What the store depends on; `undefined` while it is closed or has no slots. */
  keyslots(): KeyslotReport | undefined {
    if (this.#rooms === undefined || this.#ppid === undefined) return undefined;
    const { chain, open, state } = this.#slots;
    const { vetter } = this.#rooms;
    const nowMs = this.#clock.nowMs();
    return keyslotReport({ chain, open: open(), state: state(), vetter, ppid: this.#ppid, nowMs });
  }

  /** Why this machine would get no key back if it restarted now; `undefined` when it would. */
  restartRefusal(): string | undefined {
    return this.#ppid && this.#rooms?.judge.platforms.restartRefusal(this.#ppid);
  }

  /** `undefined` where the trust section names no authority. */
  report(): FleetReport | undefined {
    const { report: rekey } = this.#rekey;
    const report = this.watch?.report(this.#ppid && toPrefixedHex(platformHash(this.#ppid)));
    return report && { ...report, ...(rekey === undefined ? {} : { rekey }) };
  }

  /** Answer of `GET /accepts`; `undefined` before the machine is examined. @throws EvidenceError FIELD_INVALID. */
  accepts(asked: Parameters<typeof acceptanceOf>[2]): Acceptance | undefined {
    return this.#rooms && acceptanceOf(this.#rooms.judge, this.watch, asked);
  }

  /** Changes the store key when the fleet asks for it. Resolves when the signal aborts. */
  rekey(signal: AbortSignal): Promise<void> | undefined {
    return this.watch && this.#rekey.run(signal);
  }
}
