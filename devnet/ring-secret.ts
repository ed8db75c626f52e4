import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { developmentMeasurements } from '../mock-tdx/measurements.ts';
import { AccountId, Nonce, X25519PublicKey } from '../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { HttpQuoteSource } from '../src/quote-source/http-quote-source.ts';
import { PLACEHOLDER } from '../src/secrets/relay/outgoing-request.ts';
import { measurementId } from '../src/trust/measurement.ts';
import { registrationContext, registrationReportData } from '../src/trust/registration.ts';
import type { DevelopmentNode } from './development-node.ts';
import { type Finished, latchkey } from './fleet.ts';
import type { DevelopmentNetwork } from './network.ts';
import { GIVE_UP_AFTER_MS } from './slowness.ts';
import { allBacked } from './story.ts';
import type { Timeline } from './timeline.ts';
import { SECRET_VALUE, type SecretUpstream } from './upstream-of-secrets.ts';

/** `latchkey secret` for one user, each command a process of its own. */
type UserCommand = (...args: readonly string[]) => Promise<Finished>;

/** A secret is left with the ring, used while its nearest nodes die, deleted, and stays deleted when they come back. */
export async function showSecret(
  network: DevelopmentNetwork,
  upstream: SecretUpstream,
  timeline: Timeline,
): Promise<void> {
  const { nodes, chain } = network;
  timeline.chapter('A user leaves a secret with the ring');
  await timeline.step(`all ${nodes.length} nodes are members of the ring`, () =>
    allServe(nodes, nodes.length),
  );
  const user = await makeUser(network, upstream.url);
  await timeline.step('a secret is deployed (latchkey secret deploy)', () =>
    untilDone(() => user('deploy', '--url', upstream.url, ...filesOf(network)), 'SECRET_EXISTS'),
  );
  const ask = () => user('request', ...requestOf(upstream.url));
  const use = (who: string): Promise<DevelopmentNode> =>
    timeline.step(
      `${who} makes a request with it (latchkey secret request)`,
      () => whoAnswers(nodes, ask),
      ({ name }) => `${name} put it in its place and called ${upstream.url}: welcome`,
    );
  const first = await use('the nearest node');

  timeline.chapter('Its nearest node dies, and then the next one');
  await timeline.step(`kill ${first.name}`, () => first.end('SIGKILL'));
  await use('the next one');
  const alive = nodes.filter((node) => node !== first);
  await timeline.step(`the chain drops ${first.name}, and the others repair`, async () => {
    const block = chain.removeServer(stashOf(first));
    await allServe(alive, alive.length, block);
  });
  const second = await use('the nearest of the others');
  await timeline.step(`kill ${second.name}`, () => second.end('SIGKILL'));
  await use('the next one');

  timeline.chapter('It is deleted while they are away');
  await timeline.step('the user deletes it (latchkey secret delete)', () =>
    untilDone(() => user('delete', '--url', upstream.url), 'SECRET_NOT_FOUND'),
  );
  const before = upstream.served;
  await timeline.step(
    `${first.name} is registered again, and both come back with it on their disks`,
    async () => {
      // The servers give no key to an account that left the chain.
      await registerAgain(network, first);
      first.start();
      second.start();
      await Promise.all([allBacked(nodes), allServe(nodes, nodes.length)]);
    },
  );
  await timeline.step(
    'it stays deleted, and the upstream is not called',
    async () => {
      const text = await untilRefused(ask, 'SECRET_NOT_FOUND');
      const { text: listed } = await user('list');
      if (!listed.includes('"tombstone"') || listed.includes('"kind":"secret"')) throw new Error(listed);
      if (upstream.served !== before) throw new Error('the upstream was called');
      return text;
    },
    (text) => text.split('\n').at(-1) ?? '',
  );
  await timeline.step('its value is in no file of any node', async () => {
    for (const { home } of nodes) findInClear(home);
  });
}

/** Waits until all of these nodes know this number of members, and serve by a view that is not older than a block. */
async function allServe(nodes: readonly DevelopmentNode[], members: number, fromBlock = 0): Promise<void> {
  await Promise.all(
    nodes.map((node) =>
      node.until(
        `serving in a ring of ${members}`,
        ({ ring }) =>
          ring?.standing === 'serving' && ring.members === members && (ring.view ?? -1) >= fromBlock,
      ),
    ),
  );
}

const fileOf = ({ spareConfigFile }: DevelopmentNetwork, name: string): string =>
  join(dirname(spareConfigFile), name);

const filesOf = (network: DevelopmentNetwork): readonly string[] => [
  ...['--value', fileOf(network, 'secret-value')],
  ...['--acl', fileOf(network, 'acl.json')],
];

const requestOf = (url: string): readonly string[] => [
  ...['--secret', url, '--url', `${url}/models`],
  ...['--header', `Authorization: Bearer ${PLACEHOLDER}`],
];

/** A user with a new key, who accepts nodes with the image of this network only. */
async function makeUser(network: DevelopmentNetwork, url: string): Promise<UserCommand> {
  const key = fileOf(network, 'user.key');
  const { code, text } = await latchkey('secret', 'keygen', '--out', key);
  if (code !== 0) throw new Error(text);
  writeFileSync(fileOf(network, 'secret-value'), SECRET_VALUE, { mode: 0o600 });
  const acl = { paths: [`${new URL(url).pathname}/**`], verbs: ['GET'] };
  writeFileSync(fileOf(network, 'acl.json'), JSON.stringify(acl));
  const common = [
    ...['--config', network.spareConfigFile, '--insecure-trust-root', network.rootFile],
    ...['--key', key, '--measurement', toPrefixedHex(measurementId(developmentMeasurements))],
  ];
  return (...args) => latchkey('secret', ...args, ...common);
}

/**
 * Runs a command until it succeeds: while members change, an operation may find no quorum, and may be repeated.
 * @param doneBefore code of the refusal that says that a former try was carried out.
 */
async function untilDone(run: () => Promise<Finished>, doneBefore: string): Promise<void> {
  await repeat(run, ({ code, text }, tries) => code === 0 || (tries > 1 && text.includes(doneBefore)));
}

const untilRefused = async (run: () => Promise<Finished>, refusal: string): Promise<string> =>
  (
    await repeat(run, ({ code, text }) => {
      if (code === 0) throw new Error(`it was carried out: ${text}`);
      return text.includes(refusal);
    })
  ).text;

async function repeat(
  run: () => Promise<Finished>,
  isEnd: (finished: Finished, tries: number) => boolean,
): Promise<Finished> {
  const end = Date.now() + GIVE_UP_AFTER_MS;
  for (let tries = 1; ; tries++) {
    const finished = await run();
    if (isEnd(finished, tries)) return finished;
    if (Date.now() > end) throw new Error(finished.text);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Makes a request. @returns the node that carried it out, by its metrics. */
async function whoAnswers(
  nodes: readonly DevelopmentNode[],
  ask: () => Promise<Finished>,
): Promise<DevelopmentNode> {
  const running = nodes.filter(({ isRunning }) => isRunning);
  const before = await Promise.all(running.map(requestsOf));
  await repeat(ask, ({ code, text }) => code === 0 && text.includes('welcome'));
  const after = await Promise.all(running.map(requestsOf));
  const found = running.filter((_node, index) => (after[index] ?? 0) > (before[index] ?? 0));
  const [one] = found;
  if (one === undefined || found.length > 1)
    throw new Error(`${found.length} nodes carried out the request instead of 1`);
  return one;
}

/** Requests with secrets that a node carried out since its start. */
async function requestsOf({ metricsPort }: DevelopmentNode): Promise<number> {
  const text = await fetch(`http://127.0.0.1:${metricsPort}/metrics`).then((answer) => answer.text());
  const line = text
    .split('\n')
    .find(
      (each) =>
        each.startsWith('latchkey_secret_requests_total{') && /"request"/.test(each) && /"ok"/.test(each),
    );
  return Number(line?.split(' ').at(-1) ?? 0);
}

/** The account that put up the stake of a node, by its configuration. */
export function stashOf({ configFile }: DevelopmentNode): AccountId {
  const config = parse(readFileSync(configFile, 'utf8'));
  return AccountId.parse(config.chain.developmentRegistration.stash, 'stash');
}

/** What the operator of a node does after the chain dropped it: registers it with a new quote of its machine. */
async function registerAgain({ chain, mockTdx }: DevelopmentNetwork, node: DevelopmentNode): Promise<void> {
  const account = AccountId.parse(node.accountId, 'account');
  const x25519PublicKey = X25519PublicKey.parse(node.x25519PublicKey, 'x25519PublicKey');
  const nonce = Nonce.of(systemRandom(Nonce.byteLength));
  const context = registrationContext.validate;
  const quotes = new HttpQuoteSource({ url: mockTdx.url, platform: node.number });
  const quote = await quotes.quote(registrationReportData(account, x25519PublicKey, context, nonce));
  chain.registerServer({
    stash: stashOf(node),
    account,
    x25519PublicKey,
    endpoint: `127.0.0.1:${node.port}`,
    quote,
  });
}

/** @throws Error when a file below the folder has the value of the secret. */
function findInClear(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name);
    if (statSync(path).isFile() && readFileSync(path).includes(SECRET_VALUE))
      throw new Error(`${path} has the value of the secret`);
  }
}
