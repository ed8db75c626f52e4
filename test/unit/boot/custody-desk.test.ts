import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../../mock-tdx/measurements.ts';
import type { GuardianParts } from '../../../src/boot/life/boot-stage.ts';
import { CustodyDesk } from '../../../src/boot/life/custody-desk.ts';
import { NodeFolder } from '../../../src/boot/node/node-folder.ts';
import type { NodeState } from '../../../src/boot/node/node-state.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { decodeRequest } from '../../../src/custody/request.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { LatchkeyError, ProblemError } from '../../../src/errors/latchkey-error.ts';
import { encodeKeyslotFile } from '../../../src/keyslots/keyslot-codec.ts';
import type { KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { custodySetOf } from '../../../src/trust/custody-set.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { trustHash } from '../../../src/trust/trust-hash.ts';
import { START_MS } from '../../support/collateral-world.ts';
import { answerTo, custodians, trustWith } from '../../support/custodians.ts';
import { enrol, fileOf } from '../../support/keyslot-fixtures.ts';
import { memoryChain } from '../../support/memory-chain.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const trust = trustWith(2);
const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(9) });
const policy = { set: custodySetOf(trust), platform: new Uint8Array(16).fill(7) };
const made = await enrol({ t: 2, n: 3 }, { custody: policy });
const file = fileOf(made);
const [alice = expect.fail(), bob = expect.fail()] = custodians;
const knowledge = {
  trust,
  measurements: [measurementId(developmentMeasurements)],
  verifier: new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) }),
  collateral: pki.collateral({ nowMs: START_MS }),
  nowMs: START_MS,
};
const clock = { nowMs: () => START_MS, sleep: () => new Promise<void>(() => undefined) };
const locked: NodeState = {
  name: 'locked',
  cause: 'keys-missing',
  have: 0,
  need: 2,
  n: 3,
  reason: 'none answered',
  slots: [],
};

/** What a test changes on the way. */
interface At {
  state: NodeState;
  beforeSnapshot: () => Promise<void>;
  beforeQuote: () => Promise<void>;
  keys: number;
  blockAtMs?: number;
}

/** A desk of a node whose key servers are all gone from the chain. */
async function scene(path: string) {
  const folder = new NodeFolder(nodeFileSystem, path);
  await mkdir(join(folder.path, 'store'), { recursive: true });
  const write = (content: KeyslotFile) =>
    writeFile(NodeFolder.keyslotsPath(folder.path), encodeKeyslotFile(content));
  await write(file);
  const chain = memoryChain();
  const at: At = { state: locked, beforeSnapshot: async () => {}, beforeQuote: async () => {}, keys: 0 };
  const quotes = {
    quote: async (reportData: Uint8Array) => {
      await at.beforeQuote();
      return pki.quote({
        reportData,
        platform: 1,
        body: { ...developmentMeasurements, mrConfigId: trustHash(trust) },
      });
    },
  };
  const events: string[] = [];
  const parts = {
    chain: {
      snapshot: async () => {
        await at.beforeSnapshot();
        const snapshot = await chain.snapshot();
        return at.blockAtMs === undefined
          ? snapshot
          : { ...snapshot, block: { ...snapshot.block, timestampMs: at.blockAtMs } };
      },
    },
    tools: { random: systemRandom, quotes, clock, vetter: {}, client: {} },
    fileSystem: nodeFileSystem,
    log: (_level: string, event: string) => events.push(event),
    options: { minimumThreshold: 1 },
    clockToleranceMs: 0,
    maxTimeJumpMs: 1,
    // The desk uses no other part.
  } as unknown as GuardianParts;
  const { signal: stopped } = new AbortController();
  const desk = new CustodyDesk({ parts, folder, stopped, state: () => at.state, onKey: () => at.keys++ });
  return { desk, at, write, events };
}

const answersTo = (request: string) => [alice, bob].map((one) => answerTo(request, one, knowledge));
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)),
  );

describe('the desk of a locked node', () => {
  it('gives the store key to the next attempt, and to nobody after it was wiped', async () => {
    await using folder = await tempFolder();
    const { desk, at } = await scene(folder.path);
    const progress = await desk.open(answersTo(await desk.request()), false);
    expect(progress).toMatchObject({ answered: ['alice', 'bob'], opens: true });
    expect(at.keys).toBe(1);
    expect(desk.take(file)?.storeKey.equals(made.storeKey)).toBe(true);
    desk.wipe();
    expect(desk.take(file)).toBeUndefined();
  });

  it('gives no key for another generation, or for another store', async () => {
    await using folder = await tempFolder();
    const { desk } = await scene(folder.path);
    await desk.open(answersTo(await desk.request()), false);
    const [generation] = file.generations;
    expect(desk.take({ ...file, generations: [{ ...generation, generation: 2 }] })).toBeUndefined();
    expect(desk.take({ ...file, storeId: new Uint8Array(16) })).toBeUndefined();
  });

  it('a later request voids the one before', async () => {
    await using folder = await tempFolder();
    const { desk, at } = await scene(folder.path);
    const answers = answersTo(await desk.request());
    await desk.request();
    const { refused, opens } = await desk.open(answers, false);
    expect(refused.map(({ code }) => code)).toEqual(['CUSTODY_REQUEST_UNKNOWN', 'CUSTODY_REQUEST_UNKNOWN']);
    expect(opens).toBe(false);
    expect(at.keys).toBe(0);
  });

  it('refuses answers and requests in every other state', async () => {
    await using folder = await tempFolder();
    const { desk, at } = await scene(folder.path);
    const answers = answersTo(await desk.request());
    at.state = { name: 'unclaimed', reason: '', slots: [] };
    expect(await codeOf(desk.open(answers, true))).toBe('CUSTODY_NOT_NEEDED');
    expect(await codeOf(desk.request())).toBe('CUSTODY_NOT_NEEDED');
  });

  it('keeps no key when the node opened, or ended, while it asked the key servers once more', async () => {
    await using folder = await tempFolder();
    const { desk, at } = await scene(folder.path);
    const answers = answersTo(await desk.request());
    at.beforeSnapshot = async () => {
      at.state = { name: 'stopped' };
    };
    expect(await codeOf(desk.open(answers, true))).toBe('CUSTODY_NOT_NEEDED');
    expect(desk.take(file)).toBeUndefined();
    expect(at.keys).toBe(0);
  });

  it('makes no request when the node opened, or ended, while its quote was made', async () => {
    await using folder = await tempFolder();
    const { desk, at, events } = await scene(folder.path);
    at.beforeQuote = async () => {
      at.state = { name: 'stopped' };
    };
    expect(await codeOf(desk.request())).toBe('CUSTODY_NOT_NEEDED');
    expect(events).not.toContain('custody.requested');
  });

  it('gives no key when the keyslot file was changed since the request', async () => {
    await using folder = await tempFolder();
    const { desk, at, write } = await scene(folder.path);
    const answers = answersTo(await desk.request());
    const [generation] = file.generations;
    await write({ ...file, generations: [{ ...generation, generation: 5 }] });
    expect(await codeOf(desk.open(answers, false))).toBe('CUSTODY_REQUEST_UNKNOWN');
    expect(at.keys).toBe(0);
  });

  it('wipes the parts after a refusal; the same answers count again', async () => {
    await using folder = await tempFolder();
    const { desk, at } = await scene(folder.path);
    const answers = answersTo(await desk.request());
    at.beforeSnapshot = async () => Promise.reject(new ProblemError('CHAIN_UNAVAILABLE', 'no chain'));
    expect(await codeOf(desk.open(answers, false))).toBe('CHAIN_UNAVAILABLE');
    expect(await desk.open([], false)).toMatchObject({ answered: [], opens: false });
    at.beforeSnapshot = async () => {};
    expect(await desk.open(answers, false)).toMatchObject({ opens: true });
  });

  it('keeps the key for an attempt that has not used it, and drops it after one that was refused', async () => {
    await using folder = await tempFolder();
    const { desk, events } = await scene(folder.path);
    await desk.open(answersTo(await desk.request()), false);
    desk.dropUsed();
    const taken = desk.take(file);
    expect(taken?.storeKey.equals(made.storeKey)).toBe(true);
    desk.dropUsed();
    expect(desk.take(file)).toBeUndefined();
    expect(events).toContain('custody.key-dropped');
    expect(await codeOf(desk.open([], false))).toBe('CUSTODY_REQUEST_UNKNOWN');
    // The copy that an attempt has is its own.
    expect(taken?.storeKey.equals(made.storeKey)).toBe(true);
  });

  it('dates a request, never before the block that it names', async () => {
    await using folder = await tempFolder();
    const { desk, at } = await scene(folder.path);
    expect(decodeRequest(await desk.request()).report).toMatchObject({ madeAtMs: START_MS });
    at.blockAtMs = START_MS + 5_000;
    const { madeAtMs, blockAtMs } = decodeRequest(await desk.request()).report;
    expect([madeAtMs, blockAtMs]).toEqual([START_MS + 5_000, START_MS + 5_000]);
  });

  it('makes no request by a generation that has no parts', async () => {
    await using folder = await tempFolder();
    const { desk, write } = await scene(folder.path);
    expect(await codeOf(desk.request(2))).toBe('CUSTODY_ABSENT');
    await write(fileOf(await enrol({ t: 2, n: 3 })));
    expect(await codeOf(desk.request())).toBe('CUSTODY_ABSENT');
  });
});
