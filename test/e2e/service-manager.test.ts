import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { agentUntil, askAgent } from '../support/ask-agent.ts';
import { canNotify, type NotifySocket, openNotifySocket } from '../support/notify-socket.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

/** What a real node tells by the real `systemd-notify`; steps build on one another. */
describe.skipIf(!canNotify).sequential('a node under a service manager', { timeout: 240_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  let other: NodePlace;
  let socket: NotifySocket;
  const url = (): string => `http://127.0.0.1:${(subject.config['listen'] as { port: number }).port}`;
  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;

  /** Starts the node with the variables that systemd sets. */
  function startSupervised(watchdogUsec: number): void {
    Object.assign(process.env, {
      NOTIFY_SOCKET: join(folder.path, 'notify'),
      WATCHDOG_USEC: String(watchdogUsec),
    });
    subject.start();
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC']) delete process.env[name];
  }

  beforeAll(async () => {
    folder = await tempFolder();
    socket = await openNotifySocket(join(folder.path, 'notify'));
    network = await twoNodeNetwork(folder.path);
    [subject, other] = network.nodes;
  }, 240_000);

  afterEach((context) => {
    if (context.task.result?.state === 'fail') console.error(subject.log().slice(-3_000), socket.messages);
  });

  afterAll(async () => {
    await network?.close();
    await socket?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('is ready when its listeners answer, and says later that its store is backed', async () => {
    startSupervised(600_000_000);
    const first = await socket.line(/^READY=1$/);
    expect(socket.messages.indexOf(first)).toBe(0);
    expect((await fetch(`${url()}/healthz`)).status).toBe(200);
    expect(first).toContainEqual(expect.stringMatching(/^STATUS=(starting|fresh)/));
    other.start();
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isReady);
    await socket.line(/^STATUS=backed \(/);
  });

  it('shows build, store, verification, ages and event loop in its metrics', async () => {
    await askAgent(subject.socketPath, 'PUT', '/kv/demo/a', { value: 'YQ==' });
    const { port } = subject.config['metrics'] as { port: number };
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(text).toContain(`latchkey_build_info{version="${version}",node="${process.version}"} 1`);
    const sampleOf = (name: string): number =>
      Number(new RegExp(`^${name.replaceAll(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1]);
    const positive = [
      'latchkey_store_bytes',
      'latchkey_store_free_bytes',
      'latchkey_store_commit_seconds_count',
      'latchkey_quote_verify_seconds_count',
      'latchkey_quote_verify_seconds_sum',
      'latchkey_quote_chains_total{cache="miss"}',
      'nodejs_eventloop_lag_p99_seconds',
    ];
    for (const name of positive) expect([name, sampleOf(name) > 0]).toEqual([name, true]);
    expect(sampleOf('latchkey_store_compactions_total')).toBe(0);
    const slots = ['live', 'wanted', 'threshold'].map((name) => sampleOf(`latchkey_slots_${name}`));
    expect(slots).toEqual([1, 1, 1]);
    // The chain's time, within a day of this machine's; collateral holds for days.
    const nowSeconds = Date.now() / 1000;
    expect(Math.abs(sampleOf('latchkey_chain_block_time_seconds') - nowSeconds)).toBeLessThan(86_400);
    expect(sampleOf('latchkey_collateral_valid_until_seconds')).toBeGreaterThan(nowSeconds);
  });

  it('satisfies doctor, which finds the process of the node', async () => {
    const root = ['--insecure-trust-root', subject.rootFile];
    const { stdout } = await subject.run('doctor', '--config', subject.configFile, ...root, '--json');
    const { findings } = JSON.parse(stdout) as { findings: readonly Record<string, string>[] };
    const levelOf = (check: string) => findings.find((finding) => finding['check'] === check)?.['level'];
    for (const check of ['chain', 'clock', 'peers', 'chain-age', 'trust-hash', 'collateral', 'permissions'])
      expect([check, levelOf(check)]).toEqual([check, 'good']);
    const core = findings.find((finding) => finding['check'] === 'core-files');
    expect(core?.['text']).toBe('a core file of the node holds no memory');
    for (const { check, level, advice } of findings) if (level !== 'good') expect(advice, check).toBeTruthy();
  });

  const reloaded = async (changes: Readonly<Record<string, unknown>>, text = '') => {
    const before = socket.messages.length;
    if (text === '') subject.write('latchkey.yaml', { ...subject.config, ...changes });
    else writeFileSync(subject.configFile, text);
    subject.signal('SIGHUP');
    const first = await socket.line(/^RELOADING=1$/, before);
    expect(first[1]).toMatch(/^MONOTONIC_USEC=\d+$/);
    await socket.line(/^READY=1$/, socket.messages.indexOf(first));
    const answer = await askAgent(subject.socketPath, 'GET', '/status');
    return { last: answer?.json['reload'], explanation: String(answer?.json['explanation']) };
  };
  const metric = async (name: string): Promise<number> => {
    const { port } = subject.config['metrics'] as { port: number };
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  };

  it('takes new limits and another log level on SIGHUP', async () => {
    const limits = { perAddress: { burst: 1, perSecond: 0.001 } };
    const { last } = await reloaded({ limits, log: { level: 'debug' } });
    const changed = ['limits.perAddress.burst', 'limits.perAddress.perSecond', 'log.level'];
    expect(last).toMatchObject({ outcome: 'taken', changed, restartNeeded: [] });
    await fetch(`${url()}/healthz`);
    expect((await fetch(`${url()}/healthz`)).status).toBe(429);
    expect(subject.log()).toContain('"level":"debug"');
    await reloaded({});
    expect((await fetch(`${url()}/healthz`)).status).not.toBe(429);
    expect(await metric('latchkey_config_reloads_total\\{outcome="taken"\\}')).toBe(2);
  });

  it('takes a lower number of keys, and a higher one again', async () => {
    await reloaded({ limits: { maxKeys: 1 } });
    const rotate = () => other.run('rotate', '--config', other.configFile, '--yes');
    const refused = await rotate();
    expect([refused.code, refused.stderr]).not.toEqual([0, '']);
    expect(subject.log()).toContain('"VAULT_FULL"');
    await reloaded({});
    expect((await rotate()).code).toBe(0);
  });

  it('keeps its trust section when the one in the file changes, and says so', async () => {
    const trust = { ...network.trust, minimumThreshold: 2 };
    const { last, explanation } = await reloaded({ trust, limits: { maxKeys: 77 } });
    const changed = ['limits.maxKeys'];
    expect(last).toMatchObject({ outcome: 'taken', changed, restartNeeded: ['trust.minimumThreshold'] });
    expect(explanation).toContain('trust.minimumThreshold');
    expect(subject.log()).toContain('"event":"config.restart-needed"');
    expect(await metric('latchkey_config_restart_needed')).toBe(1);
    await reloaded({});
    expect(await metric('latchkey_config_restart_needed')).toBe(0);
  });

  it('changes nothing for a file that is half written', async () => {
    const { last } = await reloaded(
      {},
      stringify({ ...subject.config, limits: { maxKeys: 7_777 } }).trimEnd(),
    );
    expect(last).toMatchObject({ outcome: 'refused', code: 'CONFIG_INVALID' });
    expect(await metric('latchkey_config_last_reload_successful')).toBe(0);
    await agentUntil(subject.socketPath, '/status', isReady);
    await reloaded({});
    expect(await metric('latchkey_config_last_reload_successful')).toBe(1);
  });

  it('reads the chain from other endpoints, but not from some that do not answer', async () => {
    const chain = subject.config['chain'] as { endpoints: readonly string[] };
    const dead = await reloaded({ chain: { ...chain, endpoints: ['ws://127.0.0.1:1'] } });
    expect(dead.last).toMatchObject({ outcome: 'refused', code: 'CHAIN_UNAVAILABLE' });
    const endpoints = [network.chain.url.replace('127.0.0.1', 'localhost')];
    const moved = await reloaded({ chain: { ...chain, endpoints } });
    expect(moved.last).toMatchObject({ outcome: 'taken', changed: ['chain.endpoints'] });
    const block = await metric('latchkey_chain_finalized_block');
    for (let waited = 0; (await metric('latchkey_chain_finalized_block')) <= block; waited++) {
      if (waited > 600) throw new Error('no block comes by the new endpoint');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await agentUntil(subject.socketPath, '/status', isReady);
    await reloaded({});
  });

  it('says that it stops, before it does, after all that it had still to say', async () => {
    const [from, logged] = [socket.messages.length, subject.log().length];
    const untilLogged = async (event: string) => {
      while (!subject.log().slice(logged).includes(`"${event}"`))
        await new Promise((resolve) => setTimeout(resolve, 20));
    };
    socket.stall();
    subject.signal('SIGHUP');
    await untilLogged('process.signal');
    const ended = subject.end('SIGTERM');
    await untilLogged('node.stopped');
    socket.resume();
    await ended;
    await socket.line(/^STOPPING=1$/, from);
    expect(subject.log().trimEnd().split('\n').at(-1)).toContain('"node.stopped"');
  });

  it('is ready while its store is locked, and shows signs of life then too', async () => {
    await other.end('SIGKILL');
    const from = socket.messages.length;
    startSupervised(2_000_000);
    await socket.line(/^READY=1$/, from);
    await socket.line(/^STATUS=locked \(0 of 1\)/, from);
    expect((await fetch(`${url()}/readyz`)).status).toBe(503);
    expect((await fetch(`${url()}/info`)).status).toBe(200);
    await socket.line(/^WATCHDOG=1$/, from);
  });

  it('ends although the manager has stopped to read', async () => {
    socket.stall();
    const logged = subject.log().length;
    await subject.end('SIGTERM');
    // What the manager could not be told may be reported at the very end.
    const events = subject
      .log()
      .slice(logged)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).event);
    expect(events.filter((event) => event !== 'service.not-told').at(-1)).toBe('node.stopped');
  });
});
