import { describe, expect, it } from 'vitest';
import { decodeHead } from '../../../src/audit/audit-chain.ts';
import { verifyExport } from '../../../src/audit/audit-export.ts';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { sr25519PublicKey } from '../../../src/crypto/sr25519.ts';
import type { Release } from '../../../src/keyserver/key-server.ts';
import { AuditWitness } from '../../../src/node/audit-witness.ts';
import { NodeAudit } from '../../../src/node/node-audit.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { MemoryStore, type MemoryStoreHooks } from '../../support/memory-store.ts';
import { ProtocolClient } from '../../support/protocol-client.ts';

/** An audit log of a node over a store in memory, and the clock whose sleepers a test wakes. */
async function scene(hooks: MemoryStoreHooks = {}, isHeld = true, isRequired = false) {
  const store = new FencedStore(new MemoryStore(hooks), isHeld);
  const accountSeed = new SecretBytes(new Uint8Array(32).fill(5));
  const account = AccountId.of(sr25519PublicKey(accountSeed.reveal()));
  const wakes: (() => void)[] = [];
  const clock = {
    nowMs: systemClock.nowMs,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        wakes.push(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      }),
  };
  const events: string[] = [];
  const audit = await NodeAudit.open(
    { store, storeId: new Uint8Array(16), identity: { account, accountSeed } },
    {
      clock,
      log: (_level, event) => void events.push(event),
      maxEntries: 1_000,
      isRequired,
      witness: new AuditWitness({ clock, log: () => undefined }),
    },
  );
  return { audit, store, wakes, events };
}

async function entriesOf(audit: NodeAudit): Promise<readonly { event: string; fields: object }[]> {
  const entries: { event: string; fields: object }[] = [];
  async function* lines() {
    for await (const bytes of audit.export()) yield bytes.subarray(0, -1);
  }
  await verifyExport(
    lines(),
    () => [],
    ({ event, fields }) => void entries.push({ event, fields }),
  );
  return entries;
}

/** A release as a key server makes it. */
async function someRelease(): Promise<Release> {
  const releases: Release[] = [];
  await new ProtocolClient(keyServerWorld({ onRelease: (release) => void releases.push(release) })).obtain();
  const [release] = releases;
  if (release === undefined) throw new Error('nothing was released');
  return release;
}

describe('audit log of a node', () => {
  it('records to whom a key went, on which machine, without the key', async () => {
    const { audit } = await scene();
    const release = await someRelease();
    await audit.released(release);
    const [entry] = await entriesOf(audit);
    expect(entry).toMatchObject({
      event: 'key.released',
      fields: { intent: 'get-or-create', created: true },
    });
    expect(Object.keys(entry?.fields ?? {}).sort()).toEqual(
      ['account', 'created', 'intent', 'keyId', 'platform', 'requestId', 'trustHash'].sort(),
    );
    const secret = Buffer.from(release.grant.key.key.reveal()).toString('hex');
    expect(JSON.stringify(entry)).not.toContain(secret);
  });

  it('holds a key back until its entry is durable', async () => {
    let letWrite = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      letWrite = resolve;
    });
    const { audit } = await scene({ beforeWrite: () => held });
    let isReleased = false;
    const releasing = audit.released(await someRelease()).then(() => {
      isReleased = true;
    });
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(isReleased).toBe(false);
    letWrite();
    await releasing;
  });

  it('gives the key after its patience when the disk hangs: peers must not stay locked', async () => {
    const { audit, wakes } = await scene({ beforeWrite: () => new Promise(() => undefined) });
    const releasing = audit.released(await someRelease());
    while (wakes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const wake of wakes) wake();
    await releasing;
    expect(audit.report.audit).toMatchObject({ sequence: 0, behind: 1 });
  });

  it('keeps entries in memory while the store takes no writes, and writes them when it does', async () => {
    const { audit, store, events } = await scene({}, false);
    await audit.released(await someRelease());
    expect(audit.report.audit).toMatchObject({ sequence: 0, behind: 1 });
    expect(events).toContain('audit.behind');
    store.release();
    while (audit.report.audit.behind > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await entriesOf(audit)).toHaveLength(1);
  });

  describe('where trust.audit.required is set', () => {
    const required = (hooks: MemoryStoreHooks, isHeld = true) => scene(hooks, isHeld, true);
    const backup = { account: AccountId.of(new Uint8Array(32)), ppid: new Uint8Array(16), requestId: 'r' };
    const full = () => Promise.reject(new Error('the disk is full'));

    it('gives a key whose entry is durable', async () => {
      const { audit } = await required({});
      await audit.released(await someRelease());
      await audit.gaveBackup(backup);
      expect(await entriesOf(audit)).toHaveLength(2);
    });

    it('gives none when the disk refuses the entry: a host must not hide a release by its disk', async () => {
      const { audit } = await required({ beforeWrite: full });
      await expect(audit.released(await someRelease())).rejects.toMatchObject({ code: 'AUDIT_REQUIRED' });
      await expect(audit.gaveBackup(backup)).rejects.toMatchObject({ code: 'AUDIT_REQUIRED' });
    });

    it('gives none when the disk hangs', async () => {
      const { audit, wakes } = await required({ beforeWrite: () => new Promise(() => undefined) });
      const releasing = audit.released(await someRelease());
      while (wakes.length === 0) await new Promise((resolve) => setImmediate(resolve));
      for (const wake of wakes) wake();
      await expect(releasing).rejects.toMatchObject({ code: 'AUDIT_REQUIRED', retryAfterMs: 60_000 });
    });

    it('gives none from an instance that another one has replaced: its store takes no entry', async () => {
      const { audit, store } = await required({});
      store.fence('a newer instance');
      await expect(audit.released(await someRelease())).rejects.toMatchObject({ code: 'AUDIT_REQUIRED' });
    });

    it('gives keys from a store that custodians opened and that does not hold its account yet: no node could begin', async () => {
      const { audit, store } = await required({}, false);
      await audit.released(await someRelease());
      store.release();
      while (audit.report.audit.behind > 0) await new Promise((resolve) => setImmediate(resolve));
      expect(await entriesOf(audit)).toHaveLength(1);
    });

    it('gives none whose entry is only counted, because too many wait', async () => {
      let isFull = true;
      const { audit } = await required({ beforeWrite: async () => (isFull ? full() : undefined) });
      const release = await someRelease();
      await Promise.all(Array.from({ length: 4_096 }, () => audit.note('drain.started', {})));
      isFull = false;
      await expect(audit.released(release)).rejects.toMatchObject({ code: 'AUDIT_REQUIRED' });
      expect((await entriesOf(audit)).at(-1)).toMatchObject({
        event: 'entries.missed',
        fields: { count: 1 },
      });
      await audit.released(release);
    });
  });

  it('sums up refusals of a minute', async () => {
    const { audit, wakes } = await scene();
    const stop = new AbortController();
    const running = audit.run(stop.signal);
    for (let n = 0; n < 1_000; n++) audit.refused(n % 2 === 0 ? 'TD_DEBUG' : 'KEY_UNKNOWN', `r${n}`);
    for (const wake of wakes.splice(0)) wake();
    while (wakes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    // A minute without refusals adds nothing.
    for (const wake of wakes.splice(0)) wake();
    while (wakes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await running;
    const entries = await entriesOf(audit);
    expect(entries).toHaveLength(1);
    expect(entries[0]?.fields).toMatchObject({ total: 1_000, counts: ['KEY_UNKNOWN 500', 'TD_DEBUG 500'] });
  });

  it('grows by one entry an hour at most, however steadily strangers are refused', async () => {
    const { audit, wakes } = await scene();
    const stop = new AbortController();
    const running = audit.run(stop.signal);
    const minute = async () => {
      while (wakes.length === 0) await new Promise((resolve) => setImmediate(resolve));
      for (const wake of wakes.splice(0)) wake();
      while (wakes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    };
    for (let n = 0; n < 24 * 60; n++) {
      audit.refused('KEY_UNKNOWN', `r${n}`);
      await minute();
    }
    const entries = await entriesOf(audit);
    expect(entries.length).toBeGreaterThanOrEqual(23);
    expect(entries.length).toBeLessThanOrEqual(25);
    expect(entries[1]?.fields).toMatchObject({ counts: ['KEY_UNKNOWN 60'] });
    stop.abort();
    await running;
    // What was counted since is not lost at a planned stop.
    const total = (await entriesOf(audit)).map(({ fields }) => Number((fields as { total: number }).total));
    expect(total.reduce((sum, one) => sum + one, 0)).toBe(24 * 60);
  });

  it('writes what a full disk refused once there is room, also when nothing else happens', async () => {
    let isFull = true;
    const { audit, wakes } = await scene({
      beforeWrite: () => {
        if (isFull) throw new Error('full');
      },
    });
    await audit.released(await someRelease());
    expect(audit.report.audit.behind).toBe(1);
    isFull = false;
    const stop = new AbortController();
    const running = audit.run(stop.signal);
    while (wakes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const wake of wakes.splice(0)) wake();
    while (wakes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(audit.report.audit).toMatchObject({ sequence: 1, behind: 0 });
    stop.abort();
    await running;
  });

  it('records although its log could not be read at the start', async () => {
    const store = new MemoryStore();
    const accountSeed = new SecretBytes(new Uint8Array(32).fill(5));
    const account = AccountId.of(sr25519PublicKey(accountSeed.reveal()));
    const events: string[] = [];
    const clock = systemClock;
    const openOn = (under: MemoryStore) =>
      NodeAudit.open(
        {
          store: new FencedStore(under, true),
          storeId: new Uint8Array(16),
          identity: { account, accountSeed },
        },
        {
          clock,
          log: (_level, event) => void events.push(event),
          maxEntries: 1_000,
          isRequired: false,
          witness: new AuditWitness({ clock, log: () => undefined }),
        },
      );
    await (await openOn(store)).note('node.started', {});
    const { namespace } = store;
    let failures = 2;
    store.namespace = async (...named) => {
      if (failures-- > 0) throw new Error('EIO');
      return namespace.apply(store, named);
    };
    const audit = await openOn(store);
    await audit.note('node.started', {});
    expect(events).toEqual(['audit.not-read', 'audit.behind']);
    await audit.released(await someRelease());
    expect((await entriesOf(audit)).map(({ event }) => event)).toEqual([
      'node.started',
      'node.started',
      'key.released',
    ]);
  });

  it('shows its head to clients once there is an entry', async () => {
    const { audit } = await scene();
    expect(audit.extensions().size).toBe(0);
    await audit.note('node.started', {});
    const head = audit.extensions().get('auditHead');
    expect(head && decodeHead(head).sequence).toBe(1);
  });
});
