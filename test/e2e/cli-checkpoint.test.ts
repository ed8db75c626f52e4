import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { runLatchkey } from '../support/run-latchkey.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

async function chain() {
  const started = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1 });
  open.push(started);
  started.newBlocks(5);
  return started;
}

describe('latchkey trust checkpoint', () => {
  it('prints a checkpoint for the trust section, as YAML and as JSON', async () => {
    const node = await chain();
    const expected = node.checkpoint();
    const yaml = await runLatchkey(['trust', 'checkpoint', '--endpoint', node.url]);
    expect([yaml.code, yaml.stderr]).toEqual([0, '']);
    // As it stands it goes below `trust.chain`.
    expect(parse(yaml.stdout)).toEqual({ genesisHash: node.genesisHash, checkpoint: expected });
    const section = parseTrustSection({ chain: parse(yaml.stdout) });
    expect(section.chain.checkpoint).toEqual(expected);
    const json = await runLatchkey(['trust', 'checkpoint', '--endpoint', node.url, '--json']);
    expect(JSON.parse(json.stdout)).toEqual(expected);
  });

  it('names the next authority set when the given older block is the last block of a set', async () => {
    const node = await chain();
    node.rotateAuthorities();
    node.newBlocks(4);
    const { blockNumber, authoritySetId } = node.checkpoint();
    const at = async (block: number) => {
      const args = ['trust', 'checkpoint', '--endpoint', node.url, '--block', String(block), '--json'];
      return JSON.parse((await runLatchkey(args)).stdout);
    };
    const before = await at(3);
    const after = await at(blockNumber);
    expect([before.blockNumber, after.authoritySetId - before.authoritySetId]).toEqual([3, 1]);
    expect([after.blockNumber, after.authoritySetId]).toEqual([blockNumber, authoritySetId]);
    expect(before.authorities).not.toEqual(after.authorities);
  });

  it('reports the mistake: a block that is not final, no number, an unreachable node', async () => {
    const node = await chain();
    const args = ['trust', 'checkpoint', '--endpoint', node.url, '--block'];
    const early = await runLatchkey([...args, '999']);
    expect([early.code, early.stdout]).toEqual([2, '']);
    expect(early.stderr).toContain('CHAIN_UNAVAILABLE: block 999 is not final yet');
    const text = await runLatchkey([...args, 'newest']);
    expect([text.code, text.stdout]).toEqual([2, '']);
    const nobody = await runLatchkey(['trust', 'checkpoint', '--endpoint', 'ws://127.0.0.1:1']);
    expect([nobody.code, nobody.stdout]).toEqual([2, '']);
    expect(nobody.stderr).toContain('CHAIN_UNAVAILABLE');
    for (const bad of ['nonsense', 'ht!tp', 'http://127.0.0.1:1']) {
      const url = await runLatchkey(['trust', 'checkpoint', '--endpoint', bad]);
      expect([url.code, url.stdout]).toEqual([2, '']);
      expect(url.stderr).toContain('a ws:// or wss:// URL is expected');
    }
  });

  it('refuses authorities with weights that a checkpoint cannot express', async () => {
    const node = await chain();
    node.setTamper((method, params, result) =>
      method === 'state_call' && Array.isArray(params) && params[0] === 'GrandpaApi_grandpa_authorities'
        ? `${String(result).slice(0, -16)}0200000000000000`
        : result,
    );
    const refused = await runLatchkey(['trust', 'checkpoint', '--endpoint', node.url]);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('CHAIN_PROOF_INVALID');
  });
});
