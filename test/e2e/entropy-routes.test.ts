import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Hpke } from '@entropyxyz/entropy-protocol-nodejs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Nonce, type ReportData, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { HttpQuoteSource } from '../../src/quote-source/http-quote-source.ts';
import { registrationReportData } from '../../src/trust/registration.ts';
import { agentUntil } from '../support/ask-agent.ts';
import {
  newResponseSecret,
  openedText,
  publicOf,
  recoveryReportData,
  sealed,
  senderOf,
} from '../support/entropy-client.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

const KEY = new Uint8Array(32).fill(0x5a);
const PLATFORM = 7;
const json = { 'content-type': 'application/json' };
const isReady = ({ json: status }: { json: Readonly<Record<string, unknown>> }) => status['ready'] === true;

/**
 * A node of the predecessor's kind against real processes: its envelopes are those of entropy-protocol-nodejs, and as the
 * predecessor's client it sends one and the same body again until it gets 200.
 */
describe.sequential('a node of entropy-tss and a Latchkey server', { timeout: 240_000 }, () => {
  const signingKey = Hpke.generateSigningKey();
  const self = newResponseSecret();
  const account = senderOf(sealed(signingKey, KEY, publicOf(self)), self);
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let server: NodePlace;

  const base = (): string => `http://127.0.0.1:${(server.config['listen'] as { port: number }).port}`;
  const post = (path: string, body: string) =>
    fetch(`${base()}${path}`, { method: 'POST', headers: json, body });
  const quoteOf = (reportData: ReportData) =>
    new HttpQuoteSource({ url: network.mockTdx.url, platform: PLATFORM }).quote(reportData);

  /** Repeats until the answer is 200; gives its text, and how often it was refused before. */
  async function until200(path: string, body: string): Promise<{ text: string; refused: number }> {
    for (let refused = 0; ; refused++) {
      const answer = await post(path, body).catch(() => undefined);
      if (answer?.status === 200) return { text: await answer.text(), refused };
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async function prepareRecovery(): Promise<{ body: string; secret: Uint8Array }> {
    const secret = newResponseSecret();
    const responseKey = publicOf(secret);
    const { text } = await until200('/v1/backup_provider_quote_nonce', JSON.stringify([...responseKey]));
    const quote = await quoteOf(recoveryReportData(account, responseKey, openedText(secret, text)));
    const request = { tss_account: encodeSs58(account), response_key: [...responseKey], quote: [...quote] };
    return { body: JSON.stringify(request), secret };
  }

  beforeAll(async () => {
    folder = await tempFolder();
    network = await twoNodeNetwork(folder.path, { entropyRoutes: true });
    [server] = network.nodes;
    const x25519PublicKey = X25519PublicKey.of(publicOf(newResponseSecret()));
    const reportData = registrationReportData(account, x25519PublicKey, 0, Nonce.of(new Uint8Array(32)));
    const quote = await quoteOf(reportData);
    const record = { stash: account, account, x25519PublicKey, endpoint: '127.0.0.1:9', quote };
    network.chain.registerServer({ ...record, active: false, signer: false });
    for (const node of network.nodes) node.start();
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isReady);
  }, 240_000);

  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('K8 backs up although the server comes a second late, as the third test of the predecessor', async () => {
    const info = (await (await fetch(`${base()}/v1/info`)).json()) as { x25519_public_key: number[] };
    await server.end('SIGTERM');
    const body = sealed(signingKey, KEY, Uint8Array.from(info.x25519_public_key));
    const backedUp = until200('/v1/backup_encryption_key', body);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    server.start();
    const { text, refused } = await backedUp;
    expect(text).toBe('');
    expect(refused).toBeGreaterThan(0);
  });

  it('K5 K11 recovers after the server was killed, with a nonce of before', async () => {
    const { body, secret } = await prepareRecovery();
    await server.end('SIGKILL');
    server.start();
    const { text } = await until200('/v1/recover_encryption_key', body);
    expect(toHex(openedText(secret, text))).toBe(toHex(KEY));
    const { json: status } = await agentUntil(server.socketPath, '/status', isReady);
    expect(status['entropy']).toEqual({ backups: 1, conflicts: 0 });
    const shown = await server.run('status', '--config', server.configFile);
    expect(shown.stdout).toContain('keys of 1 entropy-tss nodes are backed up here');
    const audit = await server.run('audit', 'show', '--config', server.configFile);
    expect(audit.stdout).toMatch(new RegExp(`key.released.*${encodeSs58(account)}.*entropy`));
  });

  it('gets no older table from a server whose disk was rolled back: that server stays locked', async () => {
    await agentUntil(server.socketPath, '/status', isReady);
    await server.end('SIGTERM');
    const data = join(server.home, 'data');
    const [old, current] = [join(server.home, 'old'), join(server.home, 'current')];
    cpSync(data, old, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    // Two more starts write to the newer disk, and deposit its heads with the other node.
    for (let times = 0; times < 2; times++) {
      server.start();
      await agentUntil(server.socketPath, '/status', isReady);
      await server.end('SIGTERM');
    }
    renameSync(data, current);
    renameSync(old, data);
    server.start();
    await agentUntil(server.socketPath, '/status', ({ json: status }) => status['cause'] === 'rolled-back');
    const secret = newResponseSecret();
    const answer = await post('/v1/backup_provider_quote_nonce', JSON.stringify([...publicOf(secret)]));
    expect({ status: answer.status, ...((await answer.json()) as object) }).toMatchObject({
      status: 503,
      code: 'NODE_LOCKED',
    });
    await server.end('SIGTERM');
    rmSync(data, { recursive: true });
    renameSync(current, data);
    server.start();
    const recovery = await prepareRecovery();
    const { text } = await until200('/v1/recover_encryption_key', recovery.body);
    expect(toHex(openedText(recovery.secret, text))).toBe(toHex(KEY));
  });
});
