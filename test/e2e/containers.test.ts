import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Child } from '../../devnet/child-process.ts';
import { freePort } from '../../devnet/free-port.ts';
import { agentUntil } from '../support/ask-agent.ts';
import { copyOf, execForm, readDockerfile } from '../support/dockerfile.ts';
import { freePorts } from '../support/free-ports.ts';
import { tempFolder } from '../support/temp-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dockerfile = readDockerfile(read('kit/container/Dockerfile'));
const words = (stage: string, name: string): readonly string[] =>
  execForm(dockerfile.find((each) => each.stage === stage && each.name === name)?.text ?? '[]');

/** Every file below a folder with its size and time, so that a write shows. */
const filesOf = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('node_modules'))
    .map((name) => {
      const { size, mtimeMs } = statSync(join(folder, name));
      return `${name} ${size} ${mtimeMs}`;
    })
    .sort();

/** No container engine runs here: the files of the image are laid out as the Dockerfile does, and its commands are run there. */
describe.sequential('the image without a container', { timeout: 300_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  /** `/build` and `/opt/latchkey`. */
  let build: string;
  let image: string;
  /** The volume of the compose file, and its ports. */
  let network: string;
  let ports: { readonly chain: number; readonly mockTdx: number; readonly nodes: number };
  const children: Child[] = [];

  /** A command of the image with the places of this machine. */
  const here = (command: readonly string[]): readonly string[] =>
    command.map((word) =>
      word
        .replaceAll('$$', '$')
        .replaceAll('/network', network)
        .replaceAll('/opt/latchkey', image)
        .replaceAll(/\b9944\b/g, `${ports.chain}`)
        .replaceAll(/\b8091\b/g, `${ports.mockTdx}`)
        .replaceAll(/\b300([1-4])\b/g, (_all, number: string) => `${ports.nodes + Number(number) - 1}`),
    );
  const runHere = (command: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const [program = '', ...args] = here(command);
    const { status, stdout, stderr } = spawnSync(program, args, {
      cwd: image,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '', ...env },
    });
    return { status, stdout, stderr };
  };
  // biome-ignore lint/suspicious/noExplicitAny: the compose file, whose form a linter checks
  const services: Record<string, any> = parse(read('kit/container/compose.yaml'), { merge: true }).services;
  const commandOf = (service: string): readonly string[] => services[service].command;

  /** Starts a service as compose would: its words are the command, and the image's folder is the working folder. */
  function start(service: string): void {
    const [program = '', ...args] = here(commandOf(service));
    const script = program === 'sh' ? `cd ${image} && ${args.at(-1)}` : '';
    const child =
      program === 'sh'
        ? new Child(join(root, 'test/support/run-shell.mjs'), [script], join(network, `${service}.log`), [])
        : new Child(join(image, args[0] ?? ''), args.slice(1), join(network, `${service}.log`), []);
    children.push(child);
  }

  beforeAll(async () => {
    folder = await tempFolder();
    [build, image, network] = ['build', 'opt', 'network'].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    for (const each of [build, image, network]) mkdirSync(each);
    ports = { chain: await freePort(), mockTdx: await freePort(), nodes: await freePorts(4, 100) };
    for (const copy of dockerfile.filter(({ stage, name }) => stage === 'build' && name === 'COPY'))
      for (const path of copyOf(copy).paths) cpSync(join(root, path), join(build, path), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(build, 'node_modules'));
    execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: build, stdio: 'inherit' });
    for (const copy of dockerfile.filter(({ stage, name }) => stage !== 'build' && name === 'COPY')) {
      const { from, paths } = copyOf(copy);
      for (const path of paths) {
        const inside = path.replace('/build/', '');
        const target = join(image, inside);
        mkdirSync(dirname(target), { recursive: true });
        if (inside === 'node_modules') symlinkSync(join(root, inside), target);
        else cpSync(join(from === undefined ? root : build, inside), target, { recursive: true });
      }
    }
  }, 300_000);

  afterAll(async () => {
    await Promise.all(children.map((child) => child.end('SIGTERM')));
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('is built from nothing but what the Dockerfile copies, and its program starts', () => {
    const { status, stdout } = runHere([...words('latchkey', 'ENTRYPOINT'), '--version']);
    expect({ status, stdout }).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  it('accepts the variables of Node’s official image', () => {
    const config = join(folder.path, 'config.yaml');
    const manifest = read('kit/kubernetes/2-configuration.yaml');
    const content = parse(manifest).data['latchkey.yaml'] as string;
    writeFileSync(
      config,
      content.replace(/0x0{64}/, `0x${'ab'.repeat(32)}`).replace('recover: choose', 'recover: bound'),
    );
    const entry = words('latchkey', 'ENTRYPOINT');
    const env = { NODE_VERSION: '24.0.0', YARN_VERSION: '1.22.22', NODE_ENV: 'production' };
    const check = runHere([...entry, 'config', 'check', '--config', config], env);
    expect(check.stdout + check.stderr).toContain('good; trust hash');
    expect(check.status).toBe(0);
    writeFileSync(config, content);
    expect(runHere([...entry, 'config', 'check', '--config', config], env).status).not.toBe(0);
  });

  it('the commands of the compose file make a network in which every node is backed', async () => {
    start('chain');
    const prepared = runHere(commandOf('prepare'));
    expect(prepared.stderr).toBe('');
    expect(prepared.stdout).toBe(`4 nodes in ${network}\n`);
    start('mock-tdx');
    const nodes = Object.keys(services).filter((name) => name.startsWith('node-'));
    expect(nodes).toHaveLength(4);
    const before = filesOf(image);
    for (const name of nodes) start(name);
    for (const name of nodes) {
      const socket = join(network, name, 'data/agent.sock');
      await agentUntil(socket, '/status', ({ json }) => json['ready'] === true, 240_000);
      expect(runHere(services[name].healthcheck.test.slice(1)).status, name).toBe(0);
    }
    // The root file system of the container is read-only.
    expect(filesOf(image)).toEqual(before);
  });

  it('what the file says about itself works: status of a node', () => {
    const [line = ''] = /exec node-1 (.*)/.exec(read('kit/container/compose.yaml'))?.slice(1) ?? [];
    const { status, stdout } = runHere(line.split(' '));
    expect(stdout).toContain('backed');
    expect(status).toBe(0);
  });

  it('preparing again changes no configuration', () => {
    const config = readFileSync(join(network, 'node-2/latchkey.yaml'), 'utf8');
    expect(runHere(commandOf('prepare')).status).toBe(0);
    expect(readFileSync(join(network, 'node-2/latchkey.yaml'), 'utf8')).toBe(config);
  });

  it('the preStop command of Kubernetes drains a node, and ends', () => {
    const manifest = parse(read('kit/kubernetes/4-stateful-set.yaml'));
    const [container] = manifest.spec.template.spec.containers;
    const command: readonly string[] = container.lifecycle.preStop.exec.command;
    // With four nodes the clients of one cannot move: the command has to end at its deadline, with the answer.
    const inTime = command.map((word) => (word === '120000' ? '3000' : word));
    const { status, stdout, stderr } = runHere(
      inTime.map((word) => word.replace('/etc/latchkey', '/network/node-1')),
    );
    expect(status, stdout + stderr).toBe(1);
    expect(stdout).not.toBe('');
  });

  it('probes: a node that drains is not ready and lives; the health check fails when the node is gone', async () => {
    const url = `http://127.0.0.1:${ports.nodes}`;
    const manifest = parse(read('kit/kubernetes/4-stateful-set.yaml'));
    const [container] = manifest.spec.template.spec.containers;
    expect((await fetch(url + container.readinessProbe.httpGet.path)).status).toBe(503);
    expect((await fetch(url + container.livenessProbe.httpGet.path)).status).toBe(200);
    const check = words('latchkey', 'HEALTHCHECK');
    expect(runHere(check, { LATCHKEY_LISTEN_PORT: `${ports.nodes}` }).status).toBe(0);
    await children.at(-4)?.end('SIGTERM');
    expect(runHere(check, { LATCHKEY_LISTEN_PORT: `${ports.nodes}` }).status).toBe(1);
  });
});
