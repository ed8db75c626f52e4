import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../../src/config/load-config.ts';
import { copyOf, execForm, readDockerfile } from '../../support/dockerfile.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dockerfile = readDockerfile(read('kit/container/Dockerfile'));
const inStage = (stage: string, name: string) =>
  dockerfile.filter((each) => each.stage === stage && each.name === name);
const copies = dockerfile.filter(({ name }) => name === 'COPY').map((each) => ({ ...each, ...copyOf(each) }));

/** A tool that a person installs for this, or CI does; the version is asked for to see whether it is there. */
const has = (tool: string): boolean => spawnSync(tool, ['--version']).status === 0;
const lint = (tool: string, args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(tool, args, { cwd: root, encoding: 'utf8' });
  return { status, output: status === 0 ? '' : `${stdout}${stderr}` };
};

/** Manifests are read as they are: the schema of each is checked by kubernetes-validate. */
// biome-ignore lint/suspicious/noExplicitAny: a tree of another program's format, whose form a linter checks
type Tree = any;
const manifestFiles = readdirSync(join(root, 'kit/kubernetes')).filter((name) => name.endsWith('.yaml'));
const manifests: readonly Tree[] = manifestFiles.flatMap((name) =>
  parseAllDocuments(read(`kit/kubernetes/${name}`)).map((document) => document.toJS()),
);
const manifest = (kind: string): Tree => manifests.find((each) => each.kind === kind);
const set = manifest('StatefulSet').spec;
const pod = set.template.spec;
const [container] = pod.containers;
const configuration = manifest('ConfigMap').data['latchkey.yaml'] as string;
const chosen = configuration
  .replace(/0x0{64}/, `0x${'ab'.repeat(32)}`)
  .replace('recover: choose', 'recover: bound');
const config = loadConfig(chosen, {});
const compose: Tree = parse(read('kit/container/compose.yaml'), { merge: true });

describe('the Dockerfile', () => {
  it.skipIf(!has('hadolint'))('has nothing that hadolint warns of', () => {
    expect(lint('hadolint', ['kit/container/Dockerfile'])).toEqual({ status: 0, output: '' });
  });

  it('copies only what is there, and what the build context lets through', () => {
    const allowed = read('kit/container/Dockerfile.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const taken = copies.filter(({ from }) => from === undefined).flatMap(({ paths }) => paths);
    expect(taken.length).toBeGreaterThan(8);
    expect(taken.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(taken.filter((path) => !allowed.includes(path))).toEqual([]);
    expect(allowed.filter((path) => !taken.includes(path))).toEqual([]);
  });

  it('takes from the build only what the build makes', () => {
    const made = ['package.json', 'node_modules', 'dist/src', 'dist/mock-tdx', 'dist/devnet'];
    const taken = copies.filter(({ from }) => from === 'build').flatMap(({ paths }) => paths);
    expect(taken.map((path) => path.replace('/build/', '')).sort()).toEqual(made.sort());
  });

  it('makes the node last, so that it is built where no target is named', () => {
    expect(dockerfile.filter(({ name }) => name === 'FROM').at(-1)?.stage).toBe('latchkey');
  });

  it('ends every stage that runs as an account without rights and with a number', () => {
    for (const stage of ['base', 'development'])
      expect(inStage(stage, 'USER').at(-1)?.text, stage).toBe('10001:10001');
    expect(inStage('latchkey', 'USER')).toEqual([]);
  });

  it('starts the program itself and not a shell, so that signals reach it', () => {
    expect(execForm(inStage('latchkey', 'ENTRYPOINT')[0]?.text ?? '')).toEqual([
      'node',
      'dist/src/cli/main.js',
    ]);
    expect(execForm(inStage('latchkey', 'CMD')[0]?.text ?? '')[0]).toBe('serve');
  });

  it('uses Node.js 24, and runs no script of a package', () => {
    expect(dockerfile[0]?.text).toMatch(/^NODE_IMAGE=node:24-/);
    const installs = dockerfile.filter(
      ({ name, text }) => name === 'RUN' && /npm (ci|prune|install)/.test(text),
    );
    expect(installs.length).toBeGreaterThan(1);
    for (const { text } of installs) expect(text).toContain('--ignore-scripts');
  });
});

describe('the compose file', () => {
  it.skipIf(!has('check-jsonschema'))('has the form of the Compose specification', () => {
    const args = ['--builtin-schema', 'vendor.compose-spec', 'kit/container/compose.yaml'];
    expect(lint('check-jsonschema', args)).toEqual({ status: 0, output: '' });
  });

  it('gives no service the network of the machine, a port of it, or a right', () => {
    for (const [name, service] of Object.entries<Tree>(compose.services)) {
      expect(service.ports, name).toBeUndefined();
      expect(service.network_mode ?? 'own', name).not.toBe('host');
      expect(service.cap_drop, name).toEqual(['ALL']);
      expect(service.read_only, name).toBe(true);
    }
  });

  it('starts programs that the image has', () => {
    const development = copies.filter(({ stage }) => stage === 'base' || stage === 'development');
    const inImage = development
      .flatMap(({ paths, to }) => [...paths, to])
      .map((path) => path.replace('/build/', ''));
    for (const [name, { command }] of Object.entries<Tree>(compose.services)) {
      const program = /(?:dist|kit)\/\S+\.m?js/.exec(command.join(' '))?.[0] ?? 'none';
      expect(
        inImage.some((path) => program === path || program.startsWith(`${path}/`)),
        `${name}: ${program}`,
      ).toBe(true);
    }
  });
});

describe('the Kubernetes manifests', () => {
  it.skipIf(!has('kubernetes-validate'))('have the form that Kubernetes wants, without unknown keys', () => {
    const files = manifestFiles.map((name) => `kit/kubernetes/${name}`);
    expect(lint('kubernetes-validate', ['--strict', ...files])).toEqual({ status: 0, output: '' });
  });

  it('never restart a node because it is not ready', () => {
    expect(container.livenessProbe.httpGet.path).toBe('/healthz');
    expect(container.startupProbe.httpGet.path).toBe('/healthz');
    expect(container.readinessProbe.httpGet.path).toBe('/readyz');
  });

  it('cannot deadlock: nodes that are not ready are reachable, and start without waiting for each other', () => {
    expect(manifest('Service').spec).toMatchObject({ publishNotReadyAddresses: true, clusterIP: 'None' });
    expect(set.podManagementPolicy).toBe('Parallel');
    expect(set.serviceName).toBe(manifest('Service').metadata.name);
  });

  it('let fewer nodes be away than a store can lose, and enough stay for a drain', () => {
    const wanted = Math.min(5, set.replicas - 1);
    const threshold = Math.floor(wanted / 2) + 1;
    const { maxUnavailable, unhealthyPodEvictionPolicy } = manifest('PodDisruptionBudget').spec;
    expect(maxUnavailable).toBeGreaterThan(0);
    expect(maxUnavailable).toBeLessThan(wanted - threshold);
    expect(unhealthyPodEvictionPolicy).toBe('IfHealthyBudget');
    // A client, the node that drains, and five others.
    expect(set.replicas).toBeGreaterThanOrEqual(7);
    expect(config.trust.minimumThreshold).toBe(threshold);
  });

  it('give the drain and the end of the process the time that they take', () => {
    const { command } = container.lifecycle.preStop.exec;
    const deadlineMs = Number(command[command.indexOf('--deadline-ms') + 1]);
    const graceMs = pod.terminationGracePeriodSeconds * 1000;
    expect(graceMs).toBeGreaterThan(deadlineMs + config.limits.shutdownDeadlineMs + 30_000);
  });

  it('keep variables of services away, with which a node does not start', () => {
    expect(pod.enableServiceLinks).toBe(false);
    const injected = { LATCHKEY_SERVICE_HOST: '10.0.0.1', LATCHKEY_PORT: 'tcp://10.0.0.1:3001' };
    expect(() => loadConfig(chosen, injected)).toThrow(/LATCHKEY_/);
  });

  it('use ports, paths and accounts that fit together', () => {
    const ports = new Map(container.ports.map((port: Tree) => [port.name, port.containerPort]));
    expect(ports.get('keys')).toBe(config.listen.port);
    expect(ports.get('metrics')).toBe(config.metrics.port);
    for (const { name, targetPort } of manifest('Service').spec.ports)
      expect(ports.has(targetPort), name).toBe(true);
    for (const probe of ['livenessProbe', 'startupProbe', 'readinessProbe'])
      expect(container[probe].httpGet.port).toBe('keys');
    const open = manifest('NetworkPolicy').spec.ingress.flatMap(({ ports: each }: Tree) => each);
    expect(open.map(({ port }: Tree) => port).sort()).toEqual([...ports.values()].sort());
    const mounts = container.volumeMounts.map(({ name }: Tree) => name).sort();
    const volumes = [...pod.volumes, ...set.volumeClaimTemplates.map(({ metadata }: Tree) => metadata)];
    expect(volumes.map(({ name }) => name).sort()).toEqual(mounts);
    const data = container.volumeMounts.find(({ name }: Tree) => name === 'data');
    // Not the mount itself: with an fsGroup it belongs to root, and a group may write there.
    expect(dirname(config.node.dataFolder)).toBe(data.mountPath);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001 });
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
    const labels = set.template.metadata.labels;
    for (const { spec } of [manifest('Service'), { spec: set }, manifest('PodDisruptionBudget')])
      expect(spec.selector.matchLabels ?? spec.selector).toEqual(labels);
    expect(manifest('NetworkPolicy').spec.podSelector.matchLabels).toEqual(labels);
  });

  it('name what has to be replaced, and do not start before it is', () => {
    expect(pod.runtimeClassName).toBe(manifest('RuntimeClass').metadata.name);
    expect(pod.runtimeClassName).toContain('placeholder');
    expect(container.image).toMatch(/^registry\.example\/.*@sha256:0{64}$/);
    expect(configuration).toContain(`'0x${'0'.repeat(64)}'`);
    expect(() => loadConfig(configuration, {})).toThrow(/must be bound, endorsed or any/);
  });
});
