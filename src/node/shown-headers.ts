import { toHex, toPrefixedHex } from '../bytes/hex.ts';
import { Memo } from '../bytes/memo.ts';
import { sha256 } from '../crypto/sha2.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { FleetKeeper } from '../fleet/fleet-keeper.ts';
import type { FleetState, HeaderFinding } from '../fleet/fleet-state.ts';
import type { FleetTime } from '../fleet/fleet-time.ts';
import type { Log } from '../observe/log.ts';

/** Most judgements that are remembered; more than a store has servers. */
const MOST_REMEMBERED = 1_024;

/** The headers that servers show in their answers. Every server may show anything, and each answer carries one. */
export class ShownHeaders {
  readonly #keeper: FleetKeeper;
  readonly #log: Log;
  /** Server and header that were judged in this state: verifying again would give the same. */
  readonly #judged = new Memo<true>(MOST_REMEMBERED);
  /** Those that were too early for the chain: they are judged again, and logged once. */
  readonly #early = new Memo<true>(MOST_REMEMBERED);
  /** Servers that showed an older header than the newest here. */
  readonly #behind = new Set<string>();
  #state: FleetState | undefined;

  constructor(keeper: FleetKeeper, log: Log) {
    this.#keeper = keeper;
    this.#log = log;
  }

  /** How many servers have shown an older manifest since the newest one came. */
  get behind(): number {
    return this.#state === this.#keeper.state ? this.#behind.size : 0;
  }

  /**
   * Judges a header and gives it to the keeper. One that is not good is logged once.
   * @param server SS58 of the server that showed it.
   * @returns `known` when nothing has changed.
   */
  judge(server: string, signed: Uint8Array, time: FleetTime): HeaderFinding {
    this.#forgetFormerState();
    const name = `${server} ${toHex(sha256(signed))}`;
    if (this.#judged.find(name) === true) return 'known';
    try {
      const finding = this.#keeper.note(signed, time);
      this.#judged.set(name, true);
      if (finding !== 'known') this.#changed(server, finding);
      return finding;
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      const names = error.code === 'FLEET_ISSUED_AHEAD' ? this.#early : this.#judged;
      if (names.find(name) === undefined) this.#refused(server, error);
      names.set(name, true);
      return 'known';
    }
  }

  #forgetFormerState(): void {
    if (this.#state === this.#keeper.state) return;
    this.#state = this.#keeper.state;
    this.#judged.clear();
    this.#early.clear();
    this.#behind.clear();
  }

  #changed(server: string, finding: HeaderFinding): void {
    const { pending, newest } = this.#keeper.state;
    const hashes = [newest?.header, pending?.awaited, pending?.conflicting];
    this.#log(finding === 'newer' ? 'info' : 'error', `fleet.header-${finding}`, {
      server,
      serial: (pending?.awaited ?? newest?.header)?.header.serial,
      hashes: hashes.flatMap((header) => (header === undefined ? [] : [toPrefixedHex(header.hash)])),
    });
  }

  #refused(server: string, { code, message }: LatchkeyError): void {
    if (code === 'FLEET_SERIAL_OLDER') {
      if (this.#behind.size < MOST_REMEMBERED) this.#behind.add(server);
      this.#log('info', 'fleet.server-behind', { server, detail: message });
    } else {
      // A server after a handover, or before one, shows the header of another authority.
      const level = code === 'FLEET_AUTHORITY_OTHER' ? 'debug' : 'warn';
      this.#log(level, 'fleet.header-refused', { server, code, detail: message });
    }
  }
}
