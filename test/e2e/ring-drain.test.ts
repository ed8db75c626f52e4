import { describe, expect, it } from 'vitest';
import { type DevelopmentNode, isFullyBacked } from '../../devnet/development-node.ts';
import { startNetwork } from '../../devnet/network.ts';
import { stashOf } from '../../devnet/ring-secret.ts';
import { measureSlowness } from '../../devnet/slowness.ts';
import { startUpstream, tlsIdentity } from '../../devnet/tls-upstream.ts';
import { Deposits, judgeDeposits } from '../support/ring-deposits.ts';
import { directoryOf } from '../support/ring-directory.ts';
import { runLatchkey } from '../support/run-latchkey.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** Copies of a record, by default. */
const REPLICAS = 4;

describe('latchkey drain --wait in a ring of processes', { timeout: 1_200_000 }, () => {
  it('X6: ends with 0 when each record of the node is at k others', async () => {
    await using folder = await tempFolder();
    const identity = tlsIdentity(['127.0.0.1']);
    await using upstream = await startUpstream((_request, response) => response.end('welcome'), identity);
    // Five servers for each of the six that stay.
    const net = await startNetwork(folder.path, {
      nodes: 7,
      blockTimeMs: 500,
      slowness: await measureSlowness(),
      relayAuthority: identity.cert,
    });
    try {
      const allServe = (nodes: readonly DevelopmentNode[]) =>
        Promise.all(
          nodes.map((node) =>
            node.until(
              'backed, and serving',
              (status) =>
                isFullyBacked(status) &&
                status.ring?.standing === 'serving' &&
                status.ring.members === nodes.length,
            ),
          ),
        );
      await allServe(net.nodes);
      const directory = await directoryOf(net);
      const deposits = new Deposits(8, `https://127.0.0.1:${upstream.port}`, directory);
      await deposits.deploy();
      const shown = async (nodes: readonly DevelopmentNode[]) =>
        new Map(
          await Promise.all(nodes.map(async (node) => [node.accountId, await deposits.at(node)] as const)),
        );
      const [leaver = expect.fail('no node'), ...staying] = net.nodes;
      const its = [...(await deposits.at(leaver)).held];
      expect(its.length).toBeGreaterThan(0);
      const done = await runLatchkey(['drain', '--wait', '--config', leaver.configFile]);
      expect(done.stdout).toContain('this one may be stopped');
      expect(done.code).toBe(0);
      const held = [...(await shown(staying)).values()];
      for (const id of its)
        expect(held.filter((each) => each.held.has(id)).length).toBeGreaterThanOrEqual(REPLICAS);

      await leaver.end('SIGKILL');
      net.chain.removeServer(stashOf(leaver));
      await allServe(staying);
      expect(judgeDeposits('X6', deposits.ids, await shown(staying))).toEqual([]);
      directory.close();
    } finally {
      await net.close();
    }
  });
});
