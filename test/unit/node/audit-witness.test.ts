import { describe, expect, it } from 'vitest';
import { type AuditHead, encodeHead } from '../../../src/audit/audit-chain.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { AuditWitness } from '../../../src/node/audit-witness.ts';
import {
  decodeSeen,
  encodeSeen,
  MOST_HEADS,
  type SeenHeads,
  withHead,
} from '../../../src/node/seen-heads.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const server = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
const head = (sequence: number, byte: number): AuditHead => ({
  sequence,
  hash: new Uint8Array(32).fill(byte),
});
const saying = (said: AuditHead) => new Map([['auditHead', encodeHead(said)]]);

function scene() {
  const events: string[] = [];
  const wakes: (() => void)[] = [];
  const clock = {
    nowMs: () => 5_000,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        wakes.push(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      }),
  };
  const witness = new AuditWitness({ clock, log: (_level, event) => void events.push(event) });
  return { witness, events, wakes };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('what a node keeps of the audit logs of its servers', () => {
  it('keeps heads of each server; one that is older than the newest changes nothing', () => {
    const { witness, events } = scene();
    witness.hear(server(1), saying(head(3, 7)));
    witness.hear(server(1), saying(head(9, 8)));
    witness.hear(server(1), saying(head(4, 9)));
    witness.hear(server(2), saying(head(1, 1)));
    witness.hear(server(2), new Map());
    expect(witness.heads().map(({ sequence }) => sequence)).toEqual([3, 9, 1]);
    expect(events).toEqual([]);
  });

  it('keeps what it saw first of two heads of one number, and says so', () => {
    const { witness, events } = scene();
    witness.hear(server(1), saying(head(3, 7)));
    witness.hear(server(1), saying(head(3, 7)));
    expect(events).toEqual([]);
    witness.hear(server(1), saying(head(3, 8)));
    expect(events).toEqual(['audit.head-changed']);
    expect(witness.heads()[0]?.hash).toBe(`0x${'07'.repeat(32)}`);
  });

  it('notices a server that wrote its log again and let it grow', () => {
    const { witness, events } = scene();
    for (let number = 1; number <= 50; number++) witness.hear(server(1), saying(head(number, 7)));
    const kept = witness.heads();
    expect(kept.length).toBe(16);
    expect([kept[0]?.sequence, kept.at(-1)?.sequence]).toEqual([1, 50]);
    // The other log has grown beyond all heads that are kept; an answer of its past shows it.
    witness.hear(server(1), saying(head(60, 9)));
    expect(events).toEqual([]);
    witness.hear(server(1), saying(head(kept[3]?.sequence ?? 0, 9)));
    expect(events).toEqual(['audit.head-changed']);
    // What an auditor compares with an export is still there.
    expect(witness.heads().filter(({ hash }) => hash === `0x${'07'.repeat(32)}`).length).toBeGreaterThan(14);
  });

  it('keeps old heads more sparsely than new ones, and never loses the first', () => {
    let kept: SeenHeads = [];
    for (let number = 1; number <= 100_000; number++)
      kept = withHead(kept, { head: head(number, 7), atMs: number });
    const numbers = kept.map(({ head: { sequence } }) => sequence);
    expect(numbers).toHaveLength(MOST_HEADS);
    expect([numbers[0], numbers.at(-1)]).toEqual([1, 100_000]);
    const ages = numbers.map((number) => 100_000 - number);
    expect(ages.filter((age) => age > 10 && age < 1_000).length).toBeGreaterThan(1);
    expect(ages.filter((age) => age >= 1_000 && age < 99_999).length).toBeGreaterThan(1);
  });

  it('reads the record of one head, and refuses bytes that are none', () => {
    const one: SeenHeads = [{ head: head(5, 7), atMs: 9 }];
    expect(decodeSeen(encodeSeen(one))).toEqual(one);
    expect(decodeSeen(encodeSeen([...one, ...one]))).toHaveLength(2);
    for (const length of [0, 47, 49])
      expect(() => decodeSeen(new Uint8Array(length))).toThrow(
        expect.objectContaining({ code: 'AUDIT_ENTRY_INVALID' }),
      );
  });

  it('passes over a head that it cannot read', () => {
    const { witness, events } = scene();
    for (const bytes of [new Uint8Array(0), new Uint8Array(39), new Uint8Array(40).fill(255)])
      witness.hear(server(1), new Map([['auditHead', bytes]]));
    expect(witness.heads()).toEqual([]);
    expect(events).toEqual(['audit.head-not-read', 'audit.head-not-read', 'audit.head-not-read']);
  });

  it('keeps the heads of 1,024 servers at most, and follows those', () => {
    const { witness } = scene();
    const many = (n: number) =>
      AccountId.of(Uint8Array.from({ length: 32 }, (_, i) => (n >> (8 * i)) & 0xff));
    for (let n = 0; n < 1_100; n++) witness.hear(many(n), saying(head(1, 1)));
    witness.hear(many(5), saying(head(2, 2)));
    expect(new Set(witness.heads().map(({ server: of }) => of)).size).toBe(1_024);
    expect(witness.heads().filter(({ sequence }) => sequence === 2)).toHaveLength(1);
  });

  it('remembers them over a restart, and takes what it heard since', async () => {
    const store = new MemoryStore();
    const first = scene();
    const stop = new AbortController();
    first.witness.hear(server(1), saying(head(3, 7)));
    first.witness.hear(server(2), saying(head(5, 7)));
    const running = first.witness.run(store, stop.signal);
    while (first.wakes.length === 0) await turn();
    first.wakes.shift()?.();
    while (first.wakes.length === 0) await turn();
    const written = store.writes;
    // Nothing new, nothing written.
    first.wakes.shift()?.();
    while (first.wakes.length === 0) await turn();
    expect(store.writes).toBe(written);
    stop.abort();
    await running;

    const second = scene();
    second.witness.hear(server(1), saying(head(2, 1)));
    second.witness.hear(server(2), saying(head(6, 1)));
    const again = new AbortController();
    const reading = second.witness.run(store, again.signal);
    while (second.wakes.length === 0) await turn();
    expect(second.witness.heads().map(({ sequence }) => sequence)).toEqual([3, 5, 6]);
    again.abort();
    await reading;
  });

  it('keeps what the store remembers of two heads of one number, and says so after a restart', async () => {
    const store = new MemoryStore();
    const first = scene();
    const stop = new AbortController();
    first.witness.hear(server(1), saying(head(3, 7)));
    const running = first.witness.run(store, stop.signal);
    while (first.wakes.length === 0) await turn();
    first.wakes.shift()?.();
    while (first.wakes.length === 0) await turn();
    stop.abort();
    await running;

    // A locked node hears its servers before it can read what the store remembers.
    const second = scene();
    second.witness.hear(server(1), saying(head(3, 8)));
    const again = new AbortController();
    const reading = second.witness.run(store, again.signal);
    while (second.wakes.length === 0) await turn();
    expect(second.events).toEqual(['audit.head-changed']);
    expect(second.witness.heads()[0]?.hash).toBe(`0x${'07'.repeat(32)}`);
    again.abort();
    await reading;
  });

  it('reads again what the store remembers, where the host fails a read of its disk', async () => {
    let isBroken = false;
    const store = new MemoryStore({
      beforeRead: () => {
        if (isBroken) throw new ProblemError('STORE_READ_FAILED', 'broken');
      },
    });
    const first = scene();
    const stop = new AbortController();
    first.witness.hear(server(1), saying(head(3, 7)));
    const running = first.witness.run(store, stop.signal);
    while (first.wakes.length === 0) await turn();
    stop.abort();
    await running;

    isBroken = true;
    const second = scene();
    second.witness.hear(server(1), saying(head(3, 8)));
    const again = new AbortController();
    const reading = second.witness.run(store, again.signal);
    while (second.wakes.length === 0) await turn();
    expect(second.events).toEqual(['audit.heads-not-read']);
    isBroken = false;
    second.wakes.shift()?.();
    while (second.wakes.length === 0) await turn();
    expect(second.events).toEqual(['audit.heads-not-read', 'audit.head-changed']);
    expect(second.witness.heads()[0]?.hash).toBe(`0x${'07'.repeat(32)}`);
    again.abort();
    await reading;
  });

  it('keeps at once what it heard before the store was open, so that a crash right after does not take it', async () => {
    const store = new MemoryStore();
    const { witness, wakes } = scene();
    witness.hear(server(1), saying(head(3, 7)));
    const stop = new AbortController();
    const running = witness.run(store, stop.signal);
    while (wakes.length === 0) await turn();
    const heads = await store.namespace('latchkey/audit-heads');
    expect(decodeSeen((await heads.get('01'.repeat(32))) ?? new Uint8Array(0))).toHaveLength(1);
    stop.abort();
    await running;
  });

  it.each([
    ['bytes that are no heads', '01'.repeat(32), new Uint8Array(47)],
    ['a name that is no account', 'server', encodeSeen([{ head: head(5, 7), atMs: 9 }])],
  ])('goes on with the heads of other servers where a record is unreadable: %s', async (_, name, value) => {
    const store = new MemoryStore();
    const heads = await store.namespace('latchkey/audit-heads');
    await heads.put(name, value);
    await heads.put('02'.repeat(32), encodeSeen([{ head: head(5, 7), atMs: 9 }]));
    const { witness, wakes, events } = scene();
    witness.hear(server(1), saying(head(3, 7)));
    const stop = new AbortController();
    const running = witness.run(store, stop.signal);
    while (wakes.length === 0) await turn();
    expect(events).toEqual(['audit.heads-not-read']);
    expect(witness.heads().map(({ sequence }) => sequence)).toEqual([3, 5]);
    // What was heard now takes the place of what could not be read.
    expect(decodeSeen((await heads.get('01'.repeat(32))) ?? new Uint8Array(0))).toHaveLength(1);
    stop.abort();
    await running;
  });

  it('writes a head that it hears while another one is written', async () => {
    let hear = (): void => undefined;
    const store = new MemoryStore({
      beforeWrite: (operations) => {
        if (operations.length > 0) hear();
      },
    });
    const { witness, wakes } = scene();
    const stop = new AbortController();
    witness.hear(server(1), saying(head(3, 7)));
    hear = () => witness.hear(server(1), saying(head(4, 7)));
    const running = witness.run(store, stop.signal);
    for (let round = 0; round < 2; round++) {
      while (wakes.length === 0) await turn();
      wakes.shift()?.();
    }
    while (wakes.length === 0) await turn();
    const value = await (await store.namespace('latchkey/audit-heads')).get('01'.repeat(32));
    expect(decodeSeen(value ?? new Uint8Array(0)).at(-1)?.head.sequence).toBe(4);
    stop.abort();
    await running;
  });

  it('goes on when the store takes nothing', async () => {
    const store = new MemoryStore({
      beforeWrite: () => {
        throw new Error('full');
      },
    });
    const { witness, wakes, events } = scene();
    witness.hear(server(1), saying(head(3, 7)));
    const stop = new AbortController();
    const running = witness.run(store, stop.signal);
    while (wakes.length === 0) await turn();
    expect(events).toEqual(['audit.heads-not-kept']);
    wakes.shift()?.();
    while (wakes.length === 0) await turn();
    expect(events).toEqual(['audit.heads-not-kept', 'audit.heads-not-kept']);
    stop.abort();
    await running;
  });
});
