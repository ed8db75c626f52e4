import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { runtimeMetadata } from '../../../devnet/chain/runtime-versions.ts';
import { tryFromHex } from '../../../src/bytes/hex.ts';
import { type DecoderProcess, startDecoderProcess } from '../../../src/chain/decoder-process.ts';
import { eventually } from '../../support/chain-fixtures.ts';
import { decoderChildren, isAlive } from '../../support/decoder-children.ts';
import { forgedMetadata, towerOf } from '../../support/forged-metadata.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const honest = tryFromHex(runtimeMetadata('reordered').legacy) ?? new Uint8Array(0);
const tower = forgedMetadata((types, { u8 }) => ({ extra: towerOf(types, 40, u8) }));
const deadlineMs = 30_000;
const unavailable = { code: 'CHAIN_UNAVAILABLE' };

const running: DecoderProcess[] = [];
const start = (options: Partial<Parameters<typeof startDecoderProcess>[0]> = {}): DecoderProcess => {
  const started = startDecoderProcess({ deadlineMs, ...options });
  running.push(started);
  return started;
};

afterEach(async () => {
  for (const one of running.splice(0)) {
    one.kill('test is over');
    await one.ended;
  }
});

describe('decoder process', { timeout: 120_000 }, () => {
  it('returns the record layout, and exits', async () => {
    const decoder = start();
    expect(await decoder.decode(honest)).toEqual({
      kind: 'layout',
      layout: {
        serverInfo: [{ kind: 'fixed', bytes: 4 }, 'endpoint', 'tdxQuote', 'x25519PublicKey', 'tssAccount'],
        entropyTssIndex: 0,
        hasTimestamp: true,
      },
    });
    expect(decoder.isRunning).toBe(false);
    expect(isAlive(decoder.pid ?? 0)).toBe(false);
  });

  it('inherits no environment and no open files, and is the first that the kernel kills when memory is short', async () => {
    await using folder = await tempFolder();
    const openedFile = join(folder.path, 'open');
    const file = openSync(openedFile, 'w');
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    process.env['LATCHKEY_TEST_SECRET'] = 'secret';
    try {
      const { pid } = start();
      const proc = `/proc/${pid}`;
      await eventually(() => (readFileSync(`${proc}/oom_score_adj`, 'utf8') === '1000\n' ? true : undefined));
      expect(readFileSync(`${proc}/environ`, 'utf8')).toBe('');
      // Files that the loader of modules opens go between the list and the look.
      const own = await eventually(() => {
        try {
          const names = readdirSync(`${proc}/fd`).map((fd) => readlinkSync(`${proc}/fd/${fd}`));
          return names.length > 3 ? names : undefined;
        } catch {
          return undefined;
        }
      });
      expect(own).not.toContain(openedFile);
      // 0 and 3 to the parent; any other socket would be one of the node's.
      expect(own.filter((name) => name.startsWith('socket:'))).toHaveLength(2);
    } finally {
      delete process.env['LATCHKEY_TEST_SECRET'];
      closeSync(file);
      server.close();
    }
  });

  it('is killed when it takes too long', async () => {
    const decoder = start({ deadlineMs: 3_000 });
    await expect(decoder.decode(tower)).rejects.toMatchObject(unavailable);
    await decoder.ended;
    expect(isAlive(decoder.pid ?? 0)).toBe(false);
  });

  it('is killed when it uses too much processor time, long before the deadline for busy machines', async () => {
    const decoder = start({ deadlineMs: 3_600_000, maxCpuMs: 5000 });
    await expect(decoder.decode(tower)).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining('SIGKILL'),
    });
  });

  it('is killed when it uses too much memory, on the heap or elsewhere', async () => {
    const decoder = start({ maxRssBytes: 48 * 1024 * 1024 });
    await expect(decoder.decode(honest)).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining('SIGKILL'),
    });
  });

  it('that cannot be started fails the read: no pipes, no memory', async () => {
    // In a process of its own, which runs out of descriptors.
    const source = new URL('../../../src/chain/decoder-process.ts', import.meta.url).href;
    const program = `
      import { openSync } from 'node:fs';
      import { startDecoderProcess } from '${source}';
      try { for (;;) openSync('/dev/null'); } catch {}
      const decoder = startDecoderProcess({ deadlineMs: 1000 });
      const code = await decoder.decode(new Uint8Array(9)).catch((error) => error.code);
      await decoder.ended;
      await new Promise((resolve) => setTimeout(resolve, 50));
      process.exit(code === 'CHAIN_UNAVAILABLE' ? 7 : 1);`;
    const args = ['-c', 'ulimit -n 256; exec "$0" --import tsx --input-type=module -e "$1"'];
    const child = spawn('sh', [...args, process.execPath, program], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      stdio: 'ignore',
    });
    expect(await once(child, 'exit')).toEqual([7, null]);
  });

  it('refuses metadata above the bound, and a second request', async () => {
    await expect(start().decode(new Uint8Array(8 * 1024 * 1024 + 1))).rejects.toMatchObject(unavailable);
    const decoder = start();
    const first = decoder.decode(tower);
    await expect(Promise.all([first, decoder.decode(honest)])).rejects.toMatchObject(unavailable);
  });

  it.each([
    ['ends at once', 'process.exit(0)'],
    ['ends with an error', 'process.exit(3)'],
    ['throws', 'throw new Error()'],
    ['answers no JSON', "write(3, 'garbage')"],
    ['answers an unknown kind', "write(3, JSON.stringify({ kind: 'other' }))"],
    ['answers half', `write(3, '{"kind":"layout"')`],
    ['answers without end', "for (;;) write(3, 'x'.repeat(65536))"],
    ['answers nothing', 'setInterval(() => undefined, 1000)'],
    ['closes its pipes and stays', 'close(0); close(3); setInterval(() => undefined, 1000)'],
    ['kills itself', "process.kill(process.pid, 'SIGKILL')"],
  ])('that %s fails the read and nothing else', async (_name, body) => {
    await using folder = await tempFolder();
    const program = join(folder.path, 'program.mjs');
    const imports = "import { closeSync as close, writeSync as write } from 'node:fs';";
    writeFileSync(program, `${imports}\n${body};`);
    const decoder = start({ program, deadlineMs: 2_000 });
    await expect(decoder.decode(honest)).rejects.toMatchObject(unavailable);
    await decoder.ended;
    expect(isAlive(decoder.pid ?? 0)).toBe(false);
  });

  it('with a missing program file fails the read', async () => {
    const decoder = start({ program: '/nowhere/program.mjs' });
    await expect(decoder.decode(honest)).rejects.toMatchObject(unavailable);
  });

  it.each([
    ['waiting for metadata', 'await new Promise(() => undefined);'],
    ['busy without end', 'await decoder.decode(new Uint8Array(JSON.parse(process.argv[1])));'],
  ])('%s exits when its parent exits for any reason', async (_name, then) => {
    const source = new URL('../../../src/chain/decoder-process.ts', import.meta.url).href;
    const program = `
      import { startDecoderProcess } from '${source}';
      setInterval(() => undefined, 1000);
      const decoder = startDecoderProcess({ deadlineMs: 3600000 });
      ${then}`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', program, JSON.stringify([...tower])];
    const parent = spawn(process.execPath, args, {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      stdio: 'ignore',
    });
    const [pid] = await eventually(() => {
      const children = decoderChildren(parent.pid);
      return children.length > 0 ? children : undefined;
    });
    // Until it decodes, or would.
    await eventually(() => (cpuTicks(pid ?? 0) > 150 || then.includes('undefined') ? true : undefined));
    expect(isAlive(pid ?? 0)).toBe(true);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await eventually(() => (isAlive(pid ?? 0) ? undefined : true));
  });
});

/** Processor time of a process so far, in ticks of 10 ms. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
