import { describe, expect, it } from 'vitest';
import { RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { ProblemError } from '../../src/errors/latchkey-error.ts';
import type { FromNode, RingReply, RingRequest } from '../../src/ring/replication/messages.ts';
import type { RingNode } from '../../src/ring/replication/ring-node.ts';
import { Dice } from '../support/dice.ts';
import { ringRecord, versionOf } from '../support/ring-records.ts';
import { type Machine, SimulatedRing } from '../support/simulated-ring.ts';

const LONG = { timeout: 120_000 };
const DAY_MS = 86_400_000;

const nodeOf = ({ node }: Machine): RingNode => node ?? expect.fail('it does not run');
const nameOf = ({ member }: Machine): string => toHex(member.account);

async function ringOf(count: number, seed: number) {
  const dice = new Dice(seed);
  const ring = new SimulatedRing(dice);
  await ring.found(count);
  const newId = () => RecordId.of(dice.bytes(32));
  return { ring, newId };
}

/** A record at a holder of it, and who else is where. */
async function written(ring: SimulatedRing, id: RecordId, version = 1) {
  const [nearest] = ring.view.placement.replicasOf(id);
  const holder =
    ring.machines.get(toHex(nearest?.account ?? expect.fail('no holder'))) ?? expect.fail('none');
  const expiry = ring.time.nowMs() + DAY_MS;
  await ring.until(nodeOf(holder).write(ringRecord(id, version, expiry)));
  return holder;
}

/** Puts a liar in place of a member: it says of itself that all is well, and answers as it likes. */
function lie(
  ring: SimulatedRing,
  liar: Machine,
  answer: (from: string, request: RingRequest) => RingReply | Promise<RingReply>,
  tooOld: (from: string) => readonly string[] = () => [],
): void {
  const block = ring.view.block;
  const status = { adopted: block, complete: block, draining: false };
  const says = async (from: string, { message }: FromNode<RingRequest>): Promise<FromNode<RingReply>> => ({
    status: { ...status, tooOld: tooOld(from) },
    message: await answer(from, message),
  });
  liar.node = {
    view: ring.view,
    status: () => ({ ...status, tooOld: [] }),
    advance: () => undefined,
    adopt: () => undefined,
    repair: async () => true,
    answer: says,
  } as unknown as RingNode;
}

describe('a member that lies', () => {
  it('is given no record of ids that are far from it, whoever it says is away', LONG, async () => {
    const { ring, newId } = await ringOf(20, 31);
    const id = newId();
    const holder = await written(ring, id);
    await ring.rounds(2);
    const order = [...ring.view.placement.nearest(id)].map(({ account }) => toHex(account));
    const [far = expect.fail('none'), near = expect.fail('none')] = [order.at(-1), order[6]];
    const status = { adopted: ring.view.block, complete: ring.view.block, draining: false, tooOld: [] };
    const without = order.filter((account) => account !== far);
    const ask = async (from: string, message: RingRequest) =>
      (await nodeOf(holder).answer(from, { status, message })).message;
    await ask(far, { kind: 'compare', prefix: '', digest: '00'.repeat(32), without });
    const ids = [toHex(id)];
    const mark = 'aa'.repeat(32);
    await ring.until(nodeOf(holder).mark(id, mark, 'bb'.repeat(16)));
    expect(await ask(far, { kind: 'marks', after: '' })).toEqual({ kind: 'marks', marks: [], upTo: '' });
    expect(await ask(order[1] ?? far, { kind: 'marks', after: '' })).toMatchObject({ marks: [{ mark }] });
    expect(await ask(far, { kind: 'fetch', ids })).toEqual({ kind: 'records', records: [] });
    const configuration = [order.slice(0, 4)] as const;
    expect(await ask(far, { kind: 'read', configuration, id: toHex(id) })).toMatchObject({ kind: 'refused' });
    // One that may have to take the place of holders is given it.
    expect(await ask(near, { kind: 'fetch', ids })).toMatchObject({ records: [expect.anything()] });
    expect(await ask(near, { kind: 'read', configuration, id: toHex(id) })).toMatchObject({ kind: 'record' });
  });

  const forgeries: readonly [string, () => Uint8Array][] = [
    ['forged', () => new Uint8Array(88)],
    ['that nobody asked for', () => ringRecord(RecordId.of(new Uint8Array(32).fill(9)), 1, 4e12)],
  ];
  it.each(forgeries)('and gives records %s stops no repair with the others', LONG, async (_, made) => {
    const { ring, newId } = await ringOf(4, 32);
    const [liar = expect.fail('none'), slept = expect.fail('none')] = ring.running();
    ring.stop(slept);
    const id = newId();
    const writer = ring.running().find((machine) => machine !== liar) ?? expect.fail('none');
    await ring.until(nodeOf(writer).write(ringRecord(id, 1, ring.time.nowMs() + DAY_MS)));
    let fetched = 0;
    lie(ring, liar, (_from, request) => {
      if (request.kind === 'compare') return { kind: 'list', listed: [['ab'.repeat(32), 'ff'.repeat(16)]] };
      if (request.kind !== 'fetch') return { kind: 'done' };
      fetched += 1;
      return { kind: 'records', records: [made()] };
    });
    await ring.start(slept);
    // The liar is asked before some of the others in one order, and after them in another.
    const names = ring.view.placement.members.map(({ account }) => toHex(account));
    expect(names).toContain(nameOf(liar));
    for (let round = 0; round < 3; round++)
      await ring.until(
        nodeOf(slept)
          .repair()
          .catch(() => false),
      );
    expect(slept.store.records.has(toHex(id))).toBe(true);
    expect(nodeOf(slept).isReady).toBe(true);
    expect(fetched).toBeLessThan(10);
  });

  const ids = Array.from({ length: 60 }, (_, at) => RecordId.of(new Uint8Array(32).fill(at)));
  const idsHex = ids.map(toHex);
  const slow: readonly [string, (request: RingRequest) => RingReply][] = [
    [
      'to compare',
      ({ kind }) => {
        const digests = Array.from({ length: 16 }, (_one, at) => `${at}f`.padStart(64, '0'));
        return kind === 'compare' ? { kind: 'split', digests } : { kind: 'done' };
      },
    ],
    [
      'to give',
      (request) => {
        if (request.kind === 'compare')
          return { kind: 'list', listed: idsHex.map((id) => [id, 'ff'.repeat(16)] as const) };
        if (request.kind !== 'fetch') return { kind: 'done' };
        const [id = ''] = request.ids;
        return {
          kind: 'records',
          records: [ringRecord(ids[idsHex.indexOf(id)] ?? expect.fail(id), 9, 4e12)],
        };
      },
    ],
    ['to take', ({ kind }) => (kind === 'compare' ? { kind: 'list', listed: [] } : { kind: 'done' })],
  ];
  it.each(slow)('and is slow %s does not hold up the round with the others', LONG, async (what, answer) => {
    const { ring } = await ringOf(4, 33);
    const [liar = expect.fail('none'), other = expect.fail('none')] = ring.running();
    if (what === 'to take')
      for (const id of ids)
        await ring.until(nodeOf(other).write(ringRecord(id, 1, ring.time.nowMs() + DAY_MS)));
    lie(ring, liar, async (_from, request) => {
      await new Promise<void>((resolve) => ring.time.after(1_500, resolve));
      return answer(request);
    });
    const before = ring.time.nowMs();
    await ring.until(nodeOf(other).repair());
    expect(ring.time.nowMs() - before).toBeLessThan(60_000);
  });

  it('and hands over marks for ever holds up no joiner', LONG, async () => {
    const { ring } = await ringOf(4, 37);
    const [liar = expect.fail('none')] = ring.running();
    const joiner = await ring.join();
    let asked = 0;
    lie(ring, liar, async (_from, request) => {
      if (request.kind === 'compare') return { kind: 'same' };
      if (request.kind !== 'marks') return { kind: 'done' };
      asked += 1;
      await new Promise<void>((resolve) => ring.time.after(200, resolve));
      return { kind: 'marks', marks: [], upTo: asked.toString(16).padStart(64, '0') };
    });
    const before = ring.time.nowMs();
    await ring.rounds(1);
    expect(asked).toBeGreaterThan(0);
    expect(ring.time.nowMs() - before).toBeLessThan(5 * 60_000);
    await ring.rounds(2);
    expect(nodeOf(joiner).isReady).toBe(true);
  });

  it('and calls others too old keeps nobody from reading', LONG, async () => {
    const { ring, newId } = await ringOf(4, 34);
    const id = newId();
    await written(ring, id);
    await ring.rounds(2);
    const [liar = expect.fail('none'), ...honest] = ring.running();
    const names = ring.running().map(nameOf);
    lie(
      ring,
      liar,
      () => ({ kind: 'refused', code: 'RING_NOT_READY' }),
      (from) => names.filter((name) => name !== from && name !== nameOf(liar)),
    );
    for (const machine of honest) await ring.until(nodeOf(machine).repair());
    for (const machine of honest) {
      const { entry } = await ring.until(nodeOf(machine).read(id));
      expect(entry === undefined ? 0 : versionOf(entry)).toBe(1);
    }
  });

  it('and names other absent members all the time has records sorted a few times only', LONG, async () => {
    const { ring, newId } = await ringOf(5, 35);
    await written(ring, newId());
    const [liar = expect.fail('none'), asked = expect.fail('none'), other = expect.fail('none')] =
      ring.running();
    const status = { adopted: 1, complete: 1, draining: false, tooOld: [] };
    const compare = async (from: Machine, without: readonly string[]) => {
      const message = { kind: 'compare', prefix: '', digest: '00'.repeat(32), without } as const;
      return (await nodeOf(asked).answer(nameOf(from), { status, message })).message.kind;
    };
    const kinds: string[] = [];
    for (let turn = 0; turn < 50; turn++)
      kinds.push(await compare(liar, [turn.toString(16).padStart(64, '0')]));
    expect(kinds.filter((kind) => kind !== 'refused').length).toBe(4);
    expect(await compare(other, [])).not.toBe('refused');
    // What is sorted already costs nothing.
    expect(await compare(liar, [])).not.toBe('refused');
    await ring.time.advance(25_000);
    expect(await compare(liar, ['ee'.repeat(32)])).not.toBe('refused');
  });
});

describe('records that are over', () => {
  it('are thrown away many at once', LONG, async () => {
    const { ring, newId } = await ringOf(1, 38);
    const [machine = expect.fail('none')] = ring.running();
    for (let at = 0; at < 500; at++) {
      const id = newId();
      machine.store.records.set(toHex(id), ringRecord(id, 1, ring.time.nowMs() + 1_000));
    }
    ring.stop(machine);
    await ring.start(machine);
    let [running, most] = [0, 0];
    const remove = machine.store.delete.bind(machine.store);
    machine.store.delete = async (id) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => ring.time.after(10, resolve));
      running -= 1;
      await remove(id);
    };
    for (const days of [40, 40]) {
      await ring.time.advance(days * DAY_MS);
      nodeOf(machine).advance(ring.time.nowMs());
      await ring.until(nodeOf(machine).repair());
    }
    expect(machine.store.records.size).toBe(0);
    expect(most).toBeGreaterThan(100);
  });
});

describe('a disk that is full', () => {
  it('keeps nobody from purging what is over, nor from giving others what they lack', LONG, async () => {
    const { ring, newId } = await ringOf(4, 36);
    const [full = expect.fail('none'), slept = expect.fail('none')] = ring.running();
    const old = newId();
    await ring.until(nodeOf(full).write(ringRecord(old, 1, ring.time.nowMs() + 1_000)));
    await ring.rounds(2);
    expect(full.store.records.has(toHex(old))).toBe(true);
    ring.stop(full);
    await ring.until(nodeOf(slept).write(ringRecord(newId(), 1, ring.time.nowMs() + 90 * DAY_MS)));
    const { put } = full.store;
    full.store.put = async () => {
      throw new ProblemError('RING_FULL', 'full');
    };
    await ring.start(full);
    await ring.until(
      nodeOf(full)
        .repair()
        .catch(() => false),
    );
    await ring.time.advance(40 * DAY_MS);
    ring.hearChain(full);
    nodeOf(full).advance(ring.time.nowMs());
    await ring.until(
      nodeOf(full)
        .repair()
        .catch(() => false),
    );
    await ring.time.advance(40 * DAY_MS);
    nodeOf(full).advance(ring.time.nowMs());
    await expect(ring.until(nodeOf(full).repair())).rejects.toThrow('full');
    expect(full.store.records.has(toHex(old))).toBe(false);
    full.store.put = put;
  });
});
