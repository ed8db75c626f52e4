// How much memory the key table of a server takes, in a process of its own:
//   node --expose-gc --import tsx bench/release-table.ts SLOTS
import { concatBytes, utf8 } from '../src/bytes/concat.ts';
import { AccountId, SlotId } from '../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { u64BigEndian } from '../src/bytes/integers.ts';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { sha256 } from '../src/crypto/sha2.ts';
import type { JudgedRequest } from '../src/keyserver/judge.ts';
import { depositToWire, incarnationToWire } from '../src/protocol/lineage-state.ts';
import { decodeKeyStatus } from '../src/protocol/slot-messages.ts';
import { benchLog, benchMetrics } from './release-app.ts';
import { NOW_MS, releaseWorld } from './release-world.ts';

/** What the process reports. */
export interface TableMemory {
  /** Growth of the resident memory by the full table, in MiB. */
  readonly grownMiB: number;
  /** The same after a tenth of the slots was erased and made anew, several times. */
  readonly churnedMiB: number;
}

const PLATFORMS = 128;
/** Slots of one lineage: those of two generations. */
const SLOTS_OF_LINEAGE = 2;
const QUOTE_BYTES = 5_000;
const CHURNS = 3;
const TENTH = 10;

const { vault } = releaseWorld(benchLog, benchMetrics);
const trustHash = systemRandom(48);

/** Bytes that repeat with name and number: what a client would remember takes no memory here. */
const bytesOf = (name: string, number: number): Uint8Array =>
  sha256(concatBytes(utf8(name), u64BigEndian(number)));
const lineageOf = (slot: number): number => Math.floor(slot / SLOTS_OF_LINEAGE);
const accountOf = (lineage: number): AccountId => AccountId.of(bytesOf('account', lineage));
const slotIdOf = (slot: number): SlotId => SlotId.of(bytesOf('slot', slot).subarray(0, SlotId.byteLength));

/** A request as the judge passes it on: what it knows of the machine lies in the quote that came. */
function judged(lineage: number, slotId: SlotId): JudgedRequest {
  const quote = new Uint8Array(QUOTE_BYTES);
  quote.set(bytesOf('platform', lineage % PLATFORMS).subarray(0, 16), 0);
  quote.set(trustHash, 16);
  const provenance = { platform: quote.subarray(0, 16), trustHash: quote.subarray(16, 64) };
  const request = { account: accountOf(lineage) };
  // A quote for each would take minutes; the judge's own proof is not the subject here.
  return { bound: { request, slotId }, provenance } as unknown as JudgedRequest;
}

/** Makes a slot, links and confirms it with mark, head and report, as `key-status` does after its MAC was checked. */
function enrol(slot: number, lineage = lineageOf(slot)): void {
  const request = judged(lineage, slotIdOf(slot));
  const { account } = request.bound.request;
  const { key } = vault.create(request, NOW_MS);
  const body = {
    accountId: toPrefixedHex(account),
    slotId: toPrefixedHex(key.slotId),
    timestampMs: NOW_MS,
    random: toPrefixedHex(systemRandom(16)),
    confirm: true,
    ...incarnationToWire({ number: slot + 1, bootId: systemRandom(16) }),
    head: depositToWire({ sequence: 1_000_000, digest: systemRandom(32) }),
    report: { threshold: 3, slots: 5, live: 5 },
    mac: toPrefixedHex(systemRandom(32)),
  };
  const { incarnation, head, report } = decodeKeyStatus(JSON.parse(JSON.stringify(body))).content;
  const lineageKey = new SecretBytes(bytesOf('lineage', lineage));
  const record = vault.lineages.findOrMake(account, lineageKey, key.provenance.platform);
  vault.link(key, record);
  record.show(incarnation);
  if (head !== undefined) record.deposit(incarnation, head);
  if (report !== undefined) key.setReport(report);
  vault.confirm(key);
}

function residentMiB(): number {
  // Memory of byte arrays counts as free only at the second collection.
  for (let time = 0; time < 3; time++) globalThis.gc?.();
  return process.memoryUsage().rss / 2 ** 20;
}

const slots = Number(process.argv[2]);
const warmUp = slots / 100;
for (let slot = 0; slot < warmUp; slot++) enrol(slot);
for (let slot = 0; slot < warmUp; slot++) {
  vault.forget(accountOf(lineageOf(slot)), slotIdOf(slot));
}
const before = residentMiB();
for (let slot = 0; slot < slots; slot++) enrol(slot);
const grownMiB = residentMiB() - before;
let next = slots;
for (let churn = 0; churn < CHURNS; churn++) {
  for (let slot = churn; slot < slots; slot += TENTH) {
    vault.forget(accountOf(lineageOf(slot)), slotIdOf(slot));
    enrol(next++, lineageOf(slot));
  }
}
const churnedMiB = residentMiB() - before;
if (vault.size !== slots) throw new Error(`${vault.size} slots instead of ${slots}`);
process.send?.({ grownMiB, churnedMiB } satisfies TableMemory);
if (process.send === undefined) console.log({ grownMiB, churnedMiB, lineages: vault.lineageCount });
process.disconnect?.();
