import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { encodeContent } from '../devnet/chain/content.ts';
import { runtimeMetadata } from '../devnet/chain/runtime-versions.ts';
import { utf8 } from '../src/bytes/concat.ts';
import { AccountId, X25519PublicKey } from '../src/bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../src/bytes/hex.ts';
import type { ChainSnapshot } from '../src/chain/chain-view.ts';
import { openJsonRpcSocket } from '../src/chain/json-rpc-socket.ts';
import { connectChain } from '../src/chain/polkadot-chain-view.ts';
import { blake2b256 } from '../src/crypto/blake2.ts';

/**
 * A long run: the chain view reads a genuine Substrate runtime through chopsticks, with the project's metadata in place
 * of the runtime's own. The first run installs chopsticks (180 MB) under test/long.
 */
const SERVERS = 60;
const BLOCKS = 30;
const folder = fileURLToPath(new URL('../test/long', import.meta.url));
const SHAPE = 'entropy-500';

const hashed = (name: string, n: number): Uint8Array => blake2b256(utf8(`${name} ${n}`));

/** The raw storage of the given number of servers, in the form of the development chain's runtime. */
function storageOf(servers: number): readonly (readonly [string, string])[] {
  const records = Array.from({ length: servers }, (_, n) => ({
    stash: AccountId.of(hashed('stash', n)),
    account: AccountId.of(hashed('account', n)),
    x25519PublicKey: X25519PublicKey.of(hashed('key', n)),
    endpoint: `node-${n}.example:3001`,
    quote: new Uint8Array(4900).fill(n),
  }));
  const stashes = records.map(({ stash }) => toPrefixedHex(stash));
  return [
    ...encodeContent(
      {
        servers: new Map(records.map((record) => [toPrefixedHex(record.stash), record])),
        validators: stashes,
        signers: stashes.slice(0, 3),
        acceptedMeasurements: [new Uint8Array(32).fill(0xcd)],
        overrides: new Map(),
        shape: SHAPE,
        specVersion: 500,
      },
      SHAPE,
    ),
  ];
}

function install(): void {
  if (existsSync(join(folder, 'node_modules'))) return;
  console.log('installing chopsticks under test/long …');
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: 'inherit',
  });
}

async function startServer(
  metadataFile: string,
): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const child = spawn(process.execPath, [join(folder, 'chopsticks-server.mjs'), metadataFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('ws://')) return { child, url: line };
  }
  throw new Error('chopsticks ended before it listened');
}

function requireServers(snapshot: ChainSnapshot, servers: number): void {
  const wanted = Array.from({ length: servers }, (_, n) => toHex(hashed('account', n))).sort();
  const got = snapshot.servers.map(({ account }) => toHex(account));
  const isRight =
    got.join() === wanted.join() &&
    snapshot.undecodableRecords === 0 &&
    snapshot.servers.every(({ active }) => active) &&
    snapshot.servers.filter(({ signer }) => signer).length === Math.min(3, servers) &&
    snapshot.acceptedMeasurements.length === 1;
  if (!isRight)
    throw new Error(`block ${snapshot.block.number} shows ${got.length} servers, not ${servers} right ones`);
}

async function follow(url: string): Promise<void> {
  const deadlines = { connectDeadlineMs: 60_000, requestDeadlineMs: 60_000 };
  const control = await openJsonRpcSocket({ endpoint: url, ...deadlines });
  const write = async (servers: number): Promise<void> => {
    await control.request('dev_setStorage', [storageOf(servers)]);
    await control.request('dev_newBlock', [{ count: 1 }]);
  };
  await write(1);
  await using view = await connectChain({
    endpoints: [url],
    ...deadlines,
    minRefreshMs: 0,
    deadlineMs: 120_000,
  });
  requireServers(await view.snapshot(), 1);
  const delaysMs: number[] = [];
  for (let block = 1; block <= BLOCKS; block += 1) {
    const servers = Math.min(SERVERS, 2 * block);
    const changed = new Promise<ChainSnapshot>((resolve) => {
      const stop = view.subscribe((snapshot) => {
        if (snapshot.servers.length !== servers) return;
        stop();
        resolve(snapshot);
      });
    });
    await write(servers);
    const startedMs = performance.now();
    requireServers(await changed, servers);
    delaysMs.push(performance.now() - startedMs);
  }
  control.close('done');
  const [worst = 0] = [...delaysMs].sort((a, b) => b - a);
  console.log(
    `a genuine runtime: ${BLOCKS} blocks with up to ${SERVERS} servers were read; the slowest ${worst.toFixed(0)} ms after its block`,
  );
}

install();
const temporary = mkdtempSync(join(tmpdir(), 'latchkey-chopsticks-'));
const metadataFile = join(temporary, 'metadata.hex');
writeFileSync(metadataFile, runtimeMetadata(SHAPE).legacy);
const { child, url } = await startServer(metadataFile);
try {
  await follow(url);
} finally {
  child.kill('SIGKILL');
  rmSync(temporary, { recursive: true });
}
