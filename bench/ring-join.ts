import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { concatBytes, utf8 } from '../src/bytes/concat.ts';
import { toHex } from '../src/bytes/hex.ts';
import { u64BigEndian } from '../src/bytes/integers.ts';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { sha256 } from '../src/crypto/sha2.ts';
import { sr25519Sign } from '../src/crypto/sr25519.ts';
import { ReplicaRecords } from '../src/node/ring/replica-records.ts';
import type { RingMember } from '../src/ring/placement/member.ts';
import { Placement } from '../src/ring/placement/placement.ts';
import type { RingView } from '../src/ring/placement/views.ts';
import type { RecordFormat, ReplicaStore } from '../src/ring/replication/entry.ts';
import type { RingTransport } from '../src/ring/replication/messages.ts';
import { RingNode } from '../src/ring/replication/ring-node.ts';
import { decodeReply, decodeRequest, encodeMessage } from '../src/ring/replication/wire.ts';
import { signRecord } from '../src/secrets/record.ts';
import { secretFormat } from '../src/secrets/secret-format.ts';
import {
  encodeEntry,
  hashValue,
  peekEntry,
  recordBytesOf,
  saltValue,
  secretEntry,
} from '../src/secrets/value.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import { Dice } from '../test/support/dice.ts';
import { randomMembers } from '../test/support/ring-members.ts';
import { MemoryMarks, MemoryReplicaStore } from '../test/support/ring-records.ts';
import { secretContent, seedOf } from '../test/support/secret-records.ts';
import type { Report } from './harness.ts';

/** Records of the join without checks of signatures: the cost of the ring itself. */
const RECORDS = Number(process.env['RING_RECORDS'] ?? 100_000);
/** Records of the join as it is, which verifies each signature once; they take minutes to make and to verify. */
const SIGNED_RECORDS = Number(process.env['RING_SIGNED_RECORDS'] ?? 100_000);
/** Most records of the floor, whose cost is the same for each record. */
const FLOOR_RECORDS = 10_000;
/** With the joiner; all of them hold all. */
const MEMBERS = 4;
/** Puts that are under way at once in the floor, as a joiner may have. */
const AT_ONCE = 64;
/** Envelope, session id, kind, two counters and tag around each message of a channel. */
const CHANNEL_BYTES = 41 + 33 + 16;
const SIGNATURE_BYTES = 64;
const ROUNDS_PER_HOUR = 360;

/** Records that differ in the digits of their path; signed anew, or with the signature of another one. */
function entriesOf(count: number, isSigned: boolean): Uint8Array[] {
  const salted = saltValue(utf8('sk-0123456789abcdef0123456789abcdef'), systemRandom);
  const digits = (at: number) => String(at).padStart(9, '0');
  const pathPrefix = `/v1/${digits(0)}`;
  const record = signRecord(seedOf(1), secretContent({ pathPrefix, valueHash: hashValue(salted) }));
  const template = encodeEntry(secretEntry(record, salted));
  const place = Buffer.from(template).indexOf(digits(0));
  const bodyEnd = 4 + record.bytes.length - SIGNATURE_BYTES;
  const seed = seedOf(1).reveal();
  return Array.from({ length: count }, (_, at) => {
    const entry = Uint8Array.from(template);
    entry.set(utf8(digits(at)), place);
    if (!isSigned) return entry;
    const signed = concatBytes(
      utf8('<Bytes>latchkey/v1/secret-record'),
      entry.subarray(4, bodyEnd),
      utf8('</Bytes>'),
    );
    entry.set(sr25519Sign(seed, signed), bodyEnd);
    return entry;
  });
}

/** What a node does with records that it verified before: it reads them without their signature. */
const verifiedBefore: RecordFormat = {
  read(bytes) {
    const record = recordBytesOf(bytes);
    const body = record.subarray(0, record.length - SIGNATURE_BYTES);
    const { id, content } = peekEntry(bytes);
    const hash = content.kind === 'secret' ? content.valueHash : new Uint8Array(32);
    const order = concatBytes(u64BigEndian(content.version), hash, sha256(body));
    return { id, order, expiresAtMs: content.expiresAtMs, bytes };
  },
};

/** Nodes that hear each other in this process, by the bytes that a channel would carry. */
class Loopback {
  readonly nodes = new Map<string, RingNode>();
  bytes = 0;
  messages = 0;

  transportOf(own: RingMember): RingTransport {
    return {
      ask: async (to, request) => {
        const peer = this.nodes.get(toHex(to.account));
        if (peer === undefined) throw new Error('no answer');
        const sent = this.#carried(encodeMessage(request));
        const reply = await peer.answer(toHex(own.account), decodeRequest(sent));
        return decodeReply(this.#carried(encodeMessage(reply)));
      },
    };
  }

  #carried(message: Uint8Array): Uint8Array {
    this.bytes += message.length + CHANNEL_BYTES;
    this.messages += 1;
    return message;
  }
}

/** The bytes and messages that a piece of work sends, and its time, also of the processor. */
async function costOf(net: Loopback, work: () => Promise<unknown>) {
  const [bytes, messages, start, cpu] = [net.bytes, net.messages, performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return {
    ms: performance.now() - start,
    cpuMs: (user + system) / 1000,
    bytes: net.bytes - bytes,
    messages: net.messages - messages,
  };
}

/** A member joins three that hold all records, with and without the checks of signatures. */
export async function benchJoin(report: Report): Promise<void> {
  await join(report, entriesOf(SIGNED_RECORDS, true), secretFormat);
  await join(report, entriesOf(RECORDS, false), verifiedBefore);
}

/** One join, after which nothing changes any more. */
async function join(report: Report, entries: readonly Uint8Array[], format: RecordFormat): Promise<void> {
  const { length: records } = entries;
  const what = format === secretFormat ? 'signatures verified' : 'no signatures';
  const net = new Loopback();
  const members = randomMembers(new Dice(7), MEMBERS);
  const view = (count: number, block: number): RingView => ({
    block,
    timestampMs: Date.now(),
    placement: new Placement(members.slice(0, count)),
  });
  const open = async (own: RingMember, complete: number, format: RecordFormat, store: ReplicaStore) => {
    const transport = net.transportOf(own);
    const marks = new MemoryMarks();
    const node = await RingNode.open({
      own,
      view: view(MEMBERS - 1, 1),
      complete,
      format,
      store,
      marks,
      transport,
    });
    net.nodes.set(toHex(own.account), node);
    return node;
  };
  const holders: RingNode[] = [];
  for (const own of members.slice(0, MEMBERS - 1)) {
    const store = new MemoryReplicaStore();
    for (const entry of entries) await store.put(toHex(peekEntry(entry).id), entry);
    holders.push(await open(own, 1, verifiedBefore, store));
  }
  const folder = mkdtempSync(joinPath(tmpdir(), 'latchkey-bench-join-'));
  const storeOf = async (name: string) => {
    const storeKey = new SecretBytes(systemRandom(32));
    const store = await SealedStore.create({ path: joinPath(folder, name), storeKey });
    const bounds = { maxBytes: 1024 ** 3, keepFreeBytes: 0 };
    return { store, records: await ReplicaRecords.open(store, bounds, () => Date.now()) };
  };
  const joined = await storeOf('joiner');
  const floor = await storeOf('floor');
  try {
    const own = members[MEMBERS - 1];
    if (own === undefined) return;
    const joiner = await open(own, -1, format, joined.records);
    const both = [...holders, joiner];
    for (const node of both) node.adopt(view(MEMBERS, 2));
    let rounds = 0;
    const isComplete = () => joiner.status().complete >= 2;
    const cost = await costOf(net, async () => {
      for (; !isComplete(); rounds++) await joiner.repair();
    });
    const each = (ms: number, count = records) => ({
      opsPerSecond: (count / ms) * 1000,
      p50Ms: ms / count,
      p99Ms: ms / count,
    });
    report.result(`join to ${records} records, ${what}, ${rounds} rounds`, each(cost.ms));
    report.result(`… by processor time, ${what}`, each(cost.cpuMs));

    const left = entries.slice(0, FLOOR_RECORDS);
    const { length: floorRecords } = left;
    const keep = async (): Promise<void> => {
      for (let entry = left.pop(); entry !== undefined; entry = left.pop())
        await floor.records.put(toHex(format.read(entry).id), entry);
    };
    const floorCost = await costOf(net, () => Promise.all(Array.from({ length: AT_ONCE }, keep)));
    report.result(`floor: each record read once, and put, ${what}`, each(floorCost.ms, floorRecords));
    report.result(`… by processor time, floor, ${what}`, each(floorCost.cpuMs, floorRecords));
    const perRecord = [cost.cpuMs / records, floorCost.cpuMs / floorRecords] as const;
    report.ratio(`processor time of a join to its floor, ${what}`, perRecord[0] / perRecord[1]);
    const entryBytes = entries[0]?.length ?? 1;
    report.ratio(`bytes sent per record of ${entryBytes} bytes, ${what}`, cost.bytes / records);
    report.ratio('… to the bytes of the record', cost.bytes / records / entryBytes);

    // The same with and without checks of signatures: nothing is verified any more.
    if (format === secretFormat) return;
    for (let turn = 0; turn < 3; turn++) for (const node of both) await node.repair();
    const calm = await costOf(net, async () => {
      for (const node of both) await node.repair();
    });
    report.ratio(
      `bytes of repair per member and hour when nothing changes, ${MEMBERS} members`,
      (calm.bytes / MEMBERS) * ROUNDS_PER_HOUR,
    );
    report.ratio('… messages of one round of one member', calm.messages / MEMBERS);
    report.ratio('… milliseconds of processor time for it, both sides', calm.cpuMs / MEMBERS);
  } finally {
    await joined.store.close();
    await floor.store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
