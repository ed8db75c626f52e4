import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../support/temp-folder.ts';

/** The program of `npm start`, as `npm run build` made it. */
const main = fileURLToPath(new URL('../../dist/devnet/main.js', import.meta.url));

/** A network that does not say that it is ready is ended, so that its processes do not stay. */
const READY_WITHIN_MS = 400_000;

/** Starts the development network without its demonstration; its folder is made in `temp`. */
function startNetwork(temp: string) {
  const child = spawn(process.execPath, [main, '--network', '--json'], {
    env: { ...process.env, TMPDIR: temp },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: Record<string, unknown>[] = [];
  const ended = once(child, 'exit');
  const found = new Promise<Record<string, unknown> | undefined>((resolve) => {
    const reader = createInterface({ input: child.stdout });
    reader.on('line', (text) => {
      // Every line of --json is an object.
      const line = JSON.parse(text) as Record<string, unknown>;
      lines.push(line);
      if (line['ready'] === true) resolve(line);
    });
    reader.on('close', () => resolve(undefined));
    setTimeout(resolve, READY_WITHIN_MS, undefined).unref();
  });
  return { child, lines, ended, ready: found };
}

describe('the development network', { timeout: 600_000 }, () => {
  it('K9 nodes that start together are backed by each other; one ready line names them, and leaves nothing behind when it is ended', async () => {
    await using folder = await tempFolder();
    const network = startNetwork(folder.path);
    try {
      const ready = await network.ready;
      expect(ready, JSON.stringify(network.lines)).toMatchObject({
        servers: Array.from({ length: 7 }, () => ({
          accountId: expect.any(String) as string,
          endpoint: expect.stringMatching(/^http:/) as string,
          x25519PublicKey: expect.any(String) as string,
        })),
        quoteProvider: expect.stringMatching(/^http:/) as string,
        chain: expect.stringMatching(/^ws:/) as string,
      });
      // Every server is backed: the line comes when the network is formed, and not when it was started.
      const { servers, root, configs, spareConfig } = ready as {
        readonly servers: readonly { readonly endpoint: string; readonly accountId: string }[];
        readonly root: string;
        readonly configs: readonly string[];
        readonly spareConfig: string;
      };
      for (const { endpoint, accountId } of servers)
        expect(await (await fetch(`${endpoint}/info`)).json()).toMatchObject({
          accountId,
          state: 'backed',
        });
      expect([root, spareConfig, ...configs].every((path) => existsSync(path))).toBe(true);
    } finally {
      network.child.kill('SIGTERM');
      await network.ended;
    }
    expect(network.lines.filter((line) => 'ready' in line)).toHaveLength(1);
    expect(network.child.exitCode).toBe(0);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it('keeps its folder with the logs, and names it, when a step fails', async () => {
    await using folder = await tempFolder();
    // The socket of each node would get a longer path than the system allows, so no node starts.
    const temp = join(folder.path, 'long'.repeat(30));
    mkdirSync(temp);
    const network = startNetwork(temp);
    const [code] = await network.ended;
    await network.ready;
    expect(code).toBe(1);
    const logs = network.lines.find((line) => line['ok'] === false && 'logs' in line)?.['logs'];
    expect(logs, JSON.stringify(network.lines)).toBe(join(temp, readdirSync(temp)[0] ?? 'none'));
    expect(readFileSync(join(String(logs), 'node-1/log.jsonl'), 'utf8')).toContain('CONFIG_INVALID');
  });
});
