import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toBase64 } from '../src/bytes/base64.ts';
import { AccountId, InstanceId, KeyId, SlotId } from '../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../src/bytes/ss58.ts';
import { openJsonRpcSocket } from '../src/chain/json-rpc-socket.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { generateX25519KeyPair } from '../src/crypto/x25519.ts';
import { buildGeneration, type EnrolledServer, firstFile } from '../src/keyslots/generations.ts';
import { decodeKeyslotFile, encodeKeyslotFile } from '../src/keyslots/keyslot-codec.ts';
import type { DevelopmentNode } from './development-node.ts';
import type { Timeline } from './timeline.ts';

const TWO_OF_TWO = { t: 2, n: 2 };
const DEADLINE_MS = 10_000;

/**
 * The host of a node writes a keyslot file with two servers of its own, knows the keys of both, and registers both on
 * the chain. The node asks neither and stays locked. At the end the true file is back and the node is stopped.
 */
export async function showForgedKeyslots(
  node: DevelopmentNode,
  chainUrl: string,
  timeline: Timeline,
): Promise<void> {
  const path = join(node.home, 'data', 'node', 'keyslots');
  await timeline.step(`kill ${node.name} (SIGKILL)`, () => node.end('SIGKILL'));
  const genuine = readFileSync(path);
  const file = decodeKeyslotFile(new Uint8Array(genuine));
  const servers = [hostServer(), hostServer()];
  await timeline.step('its host registers two servers of its own on the chain', () =>
    callChain(
      chainUrl,
      servers.map(({ server }, index) => ['dev_registerServer', [recordOf(server, index)]]),
    ),
  );
  await timeline.step(
    `${node.name} stays locked with a keyslot file that names them`,
    async () => {
      const storeKey = new SecretBytes(systemRandom(32));
      const forged = await buildGeneration(
        {
          ...file,
          storeKey,
          lineageSecret: new SecretBytes(systemRandom(32)),
          generation: 1,
          quorum: TWO_OF_TWO,
          enrolled: servers,
        },
        systemRandom,
      );
      writeFileSync(path, encodeKeyslotFile(firstFile(file, forged)));
      node.start();
      const { slots = [] } = await node.until(
        'locked, with both servers refused',
        ({ state, slots: found }) =>
          state === 'locked' &&
          found?.length === servers.length &&
          found.every(({ standing }) => standing.includes('REGISTRATION_MISMATCH')),
      );
      return slots[0]?.standing ?? '';
    },
    (standing) => standing,
  );
  await timeline.step('its host puts the true file back', async () => {
    await node.end('SIGKILL');
    writeFileSync(path, genuine);
    await callChain(
      chainUrl,
      servers.map(({ server }) => ['dev_removeServer', [{ stash: encodeSs58(server) }]]),
    );
  });
}

/** A server; the host knows its private key. */
function hostServer(): EnrolledServer {
  return {
    server: AccountId.of(systemRandom(32)),
    slotId: SlotId.of(systemRandom(16)),
    keyId: KeyId.of(systemRandom(16)),
    key: new SecretBytes(systemRandom(32)),
    recoveryToken: new SecretBytes(systemRandom(32)),
    instanceId: InstanceId.of(systemRandom(16)),
  };
}

/** A record with a quote that no machine made. */
const recordOf = (server: AccountId, index: number): Readonly<Record<string, unknown>> => ({
  stash: encodeSs58(server),
  account: encodeSs58(server),
  x25519PublicKey: toPrefixedHex(generateX25519KeyPair().publicKey),
  endpoint: `127.0.0.1:${index + 1}`,
  quote: toBase64(systemRandom(5_000)),
});

async function callChain(
  endpoint: string,
  calls: readonly (readonly [string, readonly unknown[]])[],
): Promise<void> {
  const { signal } = new AbortController();
  const deadlines = { connectDeadlineMs: DEADLINE_MS, requestDeadlineMs: DEADLINE_MS };
  const socket = await openJsonRpcSocket({ endpoint, ...deadlines, signal });
  try {
    for (const [method, parameters] of calls) await socket.request(method, parameters);
  } finally {
    socket.close('the calls are over');
  }
}
