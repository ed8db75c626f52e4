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

/** What was found of a header. */
type Judgement = 'good' | 'older' | 'refused';

/** The headers that servers show in their answers. Every server may show anything, and each answer carries one. */
export class ShownHeaders {
  readonly #keeper: FleetKeeper;
  readonly #log: Log;
  /** Server and header that were judged in this state: verifying again would give the same. */
  readonly #judged = new Memo<Judgement>(MOST_REMEMBERED);
  /** Those that were too early for the chain: they are judged again, and logged once. */
  readonly #early = new Memo<true>(MOST_REMEMBERED);
  /** Servers whose last header was older than the newest here. */
  readonly #behind = new Set<string>();
  #state: FleetState | undefined;

  constructor(keeper: FleetKeeper, log: Log) {
    this.#keeper = keeper;
    this.#log = log;
  }

  /** How many servers show an older manifest than the newest one here. */
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
    const known = this.#judged.find(name);
    if (known !== undefined) {
      this.#countBehind(server, known);
      return 'known';
    }
    try {
      const finding = this.#keeper.note(signed, time);
      this.#judge(server, name, 'good');
      if (finding !== 'known') this.#changed(server, finding);
      return finding;
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error;
      if (error.code !== 'FLEET_ISSUED_AHEAD') {
        this.#judge(server, name, error.code === 'FLEET_SERIAL_OLDER' ? 'older' : 'refused');
        this.#refused(server, error);
      } else if (this.#early.find(name) === undefined) {
        this.#early.set(name, true);
        this.#refused(server, error);
      }
      return 'known';
    }
  }

  #judge(server: string, name: string, judgement: Judgement): void {
    this.#judged.set(name, judgement);
    this.#countBehind(server, judgement);
  }

  /** A server that takes the newest manifest is behind no more; one that restarted without it is again. */
  #countBehind(server: string, judgement: Judgement): void {
    if (judgement === 'good') this.#behind.delete(server);
    if (judgement === 'older' && this.#behind.size < MOST_REMEMBERED) this.#behind.add(server);
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
      this.#log('info', 'fleet.server-behind', { server, detail: message });
    } else {
      // A server after a handover, or before one, shows the header of another authority.
      const level = code === 'FLEET_AUTHORITY_OTHER' ? 'debug' : 'warn';
      this.#log(level, 'fleet.header-refused', { server, code, detail: message });
    }
  }
}
