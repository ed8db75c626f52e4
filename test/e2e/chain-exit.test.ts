import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a program until it exits by itself. A program that cannot exit fails the test by its timeout. */
function run(source: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
      cwd: root,
    });
    let output = '';
    child.stdout.on('data', (data) => {
      output += String(data);
    });
    child.stderr.on('data', (data) => {
      output += String(data);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

const imports = `
  const { startDevelopmentChain } = await import('./devnet/chain/development-chain.ts');
  const { connectChain } = await import('./src/chain/polkadot-chain-view.ts');
  const chain = await startDevelopmentChain({ blockTimeMs: 50, finalityLag: 1 });`;

describe('a program that has closed its chain view', () => {
  it('exits by itself', async () => {
    const { code, output } = await run(`${imports}
      const view = await connectChain({ endpoints: [chain.url], deadlineMs: 50_000 });
      const { block } = await view.snapshot();
      await view[Symbol.asyncDispose]();
      await chain.close();
      console.log('read block', block.number >= 0);`);
    expect(output).toContain('read block true');
    expect(code).toBe(0);
  }, 90_000);

  it('exits by itself while the endpoint is silent, also during the connection attempt', async () => {
    const { code, output } = await run(`${imports}
      chain.setSilent(true);
      await connectChain({ endpoints: [chain.url], deadlineMs: 200 }).catch((error) => console.log(error.code));
      await chain.close();`);
    expect(output).toContain('CHAIN_UNAVAILABLE');
    expect(code).toBe(0);
  }, 90_000);
});
