import { request } from 'node:http';
import { toBase64, tryFromBase64 } from '../../src/bytes/base64.ts';
import { equalBytes } from '../../src/bytes/concat.ts';
import {
  AccountId,
  InstanceId,
  type Mac,
  Nonce,
  type ReportData,
  SlotId,
  X25519PublicKey,
} from '../../src/bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { getCollateral } from '../../src/collateral/get-collateral.ts';
import type { RunClient, Scenario, Step } from '../../src/conformance/client/contract.ts';
import { systemRandom as random } from '../../src/crypto/random.ts';
import { generateX25519KeyPair, type X25519KeyPair } from '../../src/crypto/x25519.ts';
import { openAuth } from '../../src/hpke/hpke.ts';
import type { Incarnation } from '../../src/lineage/incarnation.ts';
import { Lineage } from '../../src/lineage/lineage.ts';
import { lineageIdOf, sealLineageKey } from '../../src/lineage/lineage-key.ts';
import { isSame, isTaken } from '../../src/lineage/rules.ts';
import { decodeAttestation } from '../../src/protocol/attestation.ts';
import { challengeAnswer, keyAnswer, parseWire } from '../../src/protocol/decode.ts';
import type { MacRoute } from '../../src/protocol/labels.ts';
import { macMatches, responseMac } from '../../src/protocol/mac.ts';
import {
  bootContent,
  keyStatusContent,
  lineageUpdateContent,
  type MacContent,
  macMessage,
  NO_CONTENT,
  reserveContent,
} from '../../src/protocol/mac-message.ts';
import { recoveryProof } from '../../src/protocol/recovery-proof.ts';
import {
  attestationReportData,
  type Intent,
  PLAIN_SLOT_ID,
  requestReportData,
} from '../../src/protocol/report-data.ts';
import { decodeKeyGrant, type KeyGrant, sealedKeyAad, sealedKeyInfo } from '../../src/protocol/sealed-key.ts';
import {
  decodeForgotten,
  decodeServerState,
  type Forgotten,
  forgottenBytes,
  type ServerState,
  serverStateBytes,
} from '../../src/protocol/slot-messages.ts';
import {
  defaultPolicy,
  insecureTrustRoot,
  parseQuote,
  QuoteVerifier,
  verifyQuote,
} from '../../src/tdx/verify-quote.ts';

/** What a client of these tests can do wrong; each is one missing check or one wrong byte. */
export type Defect =
  | `refuses-${Step}`
  | `ignores-mac-of-${MacRoute}`
  | 'ignores-answer-mac'
  | 'mac-without-draining'
  | 'mac-without-extensions'
  | 'any-challenger'
  | 'any-name-in-answer'
  | 'takes-what-does-not-open'
  | 'nonce-not-bound'
  | 'one-nonce-for-all'
  | 'one-ephemeral-key'
  | 'one-slot-id'
  | 'no-recovery-proof'
  | 'mac-of-another-time'
  | 'clock-off'
  | 'one-random'
  | 'link-bound-to-no-slot'
  | 'never-confirms'
  | 'follows-redirects'
  | 'reads-everything'
  | 'retries-without-limit'
  | 'retries-at-once'
  | 'waits-forever'
  | 'crashes-without-json'
  | 'crashes-when-cut'
  | 'prints-key'
  | 'sends-token'
  | 'attests-nothing'
  | 'attests-unsigned'
  | 'attests-unbound'
  | 'attests-old'
  | 'attests-debug'
  | 'attests-by-own-clock'
  | 'any-key-back'
  | 'key-id-is-enough'
  | 'link-not-checked'
  | 'reservation-not-checked'
  | 'claim-not-checked'
  | 'erased-not-checked'
  | 'unknown-fields'
  | 'any-base64'
  | 'no-extensions'
  | 'empty-extensions'
  | 'hides-codes'
  | 'one-ends-all'
  | 'no-token-needed'
  | 'not-fresh'
  | 'text-plain'
  | 'changing-key-ids'
  | 'forged-quote'
  | 'pads-short-values'
  | 'null-is-absent'
  | 'any-finalized'
  | 'crashes-when-nested'
  | 'waits-for-heads'
  | 'waits-for-interim'
  | 'challenges-in-turn'
  | 'requests-in-turn';

/** Ends the whole client, as an error that nothing catches. */
class Crash extends Error {}
/** Ends the steps at one server. */
class Failure extends Error {
  readonly reason: string;
  readonly code: string | undefined;

  constructor(reason: string, code?: string) {
    super(reason);
    this.reason = reason;
    this.code = code;
  }
}

interface PlainRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Known {
  readonly name: string;
  readonly url: string;
  readonly account: AccountId;
  readonly x25519PublicKey: X25519PublicKey;
  slotId: SlotId;
  grant: KeyGrant | undefined;
  token: SecretBytes | undefined;
  failed: boolean;
}

const MAX_ANSWER_BYTES = 64 * 1024;
const oneSlotId = SlotId.of(random(16));
const oneRandom = random(16);
const oneEphemeralKey = generateX25519KeyPair();

/** A client in this process with some defects; without any it keeps all rules. */
export const brokenClient =
  (defects: readonly Defect[], limitMs: number): RunClient =>
  async (scenario) => {
    const client = new BrokenClient(scenario, new Set(defects));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), limitMs);
    });
    const end = await Promise.race([client.run().catch((error: unknown) => error), late]);
    clearTimeout(timer);
    const isCrash = end instanceof Error;
    const stderr = isCrash ? String(end.stack) : client.logged.join('\n');
    return { exitCode: isCrash ? 1 : 0, stdout: client.printed.join('\n'), stderr, isLate: end === 'late' };
  };

class BrokenClient {
  readonly printed: string[] = [];
  readonly logged: string[] = [];
  readonly #scenario: Scenario;
  readonly #defects: ReadonlySet<Defect>;
  readonly #account: AccountId;
  readonly #lineage: Lineage;
  readonly #servers: readonly Known[];
  readonly #boots = [random(8), random(8)] as const;
  #incarnation: Incarnation;
  #firstNonce: Nonce | undefined;
  #isOver = false;

  constructor(scenario: Scenario, defects: ReadonlySet<Defect>) {
    this.#scenario = scenario;
    this.#defects = defects;
    this.#account = AccountId.parse(scenario.account, 'account');
    this.#lineage = new Lineage(SecretBytes.adopt(bytes(scenario.lineageSecret)));
    this.#incarnation = this.#lineage.incarnation(1, this.#boots[0]);
    this.#servers = scenario.servers.map(({ accountId, x25519PublicKey, endpoint }) => ({
      name: accountId,
      url: endpoint,
      account: AccountId.parse(accountId, 'server'),
      x25519PublicKey: X25519PublicKey.parse(x25519PublicKey, 'x25519PublicKey'),
      slotId: PLAIN_SLOT_ID,
      grant: undefined,
      token: undefined,
      failed: false,
    }));
  }

  #has(defect: Defect): boolean {
    return this.#defects.has(defect);
  }

  async run(): Promise<void> {
    for (const step of this.#scenario.steps) {
      if (this.#isOver) return;
      if (step === 'claim') this.#incarnation = this.#lineage.incarnation(2, this.#boots[1]);
      if (step === 'plain' || step === 'create' || step === 'recover') await this.#obtain(step);
      else
        await this.#each(step, async (known) => {
          await this.#one(step, known);
          return undefined;
        });
    }
  }

  async #one(step: Exclude<Step, 'plain' | 'create' | 'recover'>, known: Known): Promise<void> {
    switch (step) {
      case 'attest':
        return this.#attest(known);
      case 'link':
        return this.#link(known);
      case 'reserve': {
        const wish = this.#lineage.reservation(2, this.#boots[1]);
        const { lineage } = await this.#ask(known, 'reserve', reserveContent(wish));
        if (!this.#has('reservation-not-checked') && (lineage === undefined || isTaken(lineage, wish))) {
          throw new Failure('taken');
        }
        return;
      }
      case 'claim': {
        const { lineage } = await this.#ask(known, 'claim', bootContent(this.#incarnation));
        if (this.#has('claim-not-checked')) return;
        if (lineage === undefined || !isSame(lineage.shown, this.#incarnation)) throw new Failure('replaced');
        return;
      }
      case 'status':
        await this.#ask(known, 'lineage-status', NO_CONTENT);
        return;
      case 'update': {
        const head = this.#lineage.head(this.#incarnation, 1, random(16));
        const update = { incarnation: this.#incarnation, head, forget: [], close: undefined };
        await this.#ask(known, 'lineage-update', lineageUpdateContent(update));
        return;
      }
      case 'forget': {
        const { erased } = await this.#ask(known, 'forget', bootContent(this.#incarnation));
        if (!erased && !this.#has('erased-not-checked')) throw new Failure('kept');
      }
    }
  }

  async #obtain(step: 'plain' | 'create' | 'recover'): Promise<void> {
    const intent: Intent = step === 'plain' ? 'get-or-create' : step;
    const asked = this.#servers.filter(({ failed }) => !failed);
    const ephemeral = this.#has('one-ephemeral-key') ? oneEphemeralKey : generateX25519KeyPair();
    const nonces = new Map<Known, Nonce>();
    await this.#each(
      step,
      async (known) => {
        if (step === 'create') known.slotId = this.#has('one-slot-id') ? oneSlotId : SlotId.of(random(16));
        if (step === 'plain') known.slotId = PLAIN_SLOT_ID;
        nonces.set(known, await this.#challenge(known, ephemeral));
      },
      true,
    );
    const left = asked.filter((known) => nonces.has(known));
    const zero = Nonce.of(new Uint8Array(32));
    const servers = left.map((known) => ({
      server: known.account,
      nonce: nonces.get(known) ?? zero,
      slotId: known.slotId,
    }));
    if (servers.length === 0 || this.#isOver) return;
    const ephemeralPublicKey = X25519PublicKey.of(ephemeral.publicKey);
    const bound = this.#has('nonce-not-bound')
      ? servers.map((entry) => ({ ...entry, nonce: zero }))
      : servers;
    const reportData = requestReportData({
      account: this.#account,
      ephemeralPublicKey,
      intent,
      servers: bound,
    });
    const quote = await this.#quote(reportData);
    const body = {
      accountId: toPrefixedHex(this.#account),
      ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
      intent,
      servers: servers.map(({ server, nonce, slotId }) => ({
        server: toPrefixedHex(server),
        nonce: toPrefixedHex(nonce),
        slotId: toPrefixedHex(slotId),
      })),
      quote: toBase64(quote),
    };
    await this.#each(step, async (known) => {
      if (!nonces.has(known)) return undefined;
      const proves = intent === 'recover' && known.token !== undefined && !this.#has('no-recovery-proof');
      const own = proves
        ? { ...body, recoveryProof: toPrefixedHex(recoveryProof(known.token ?? noSecret, reportData)) }
        : body;
      const answer = await this.#post(known, '/request-encryption-key', own);
      const grant = this.#open(known, answer, ephemeral, reportData);
      this.#judge(step, known, grant);
      const keyId = this.#has('changing-key-ids') ? random(16) : grant.keyId;
      return { keyId: toPrefixedHex(keyId) };
    });
  }

  #judge(step: Step, known: Known, grant: KeyGrant): void {
    if (this.#has('prints-key')) this.logged.push(`got ${toBase64(grant.key.reveal())}`);
    if (step === 'create') {
      if (grant.recoveryToken === undefined && !this.#has('no-token-needed')) throw new Failure('protocol');
      if (!grant.created && !this.#has('not-fresh')) throw new Failure('protocol');
      known.grant = grant;
      known.token = grant.recoveryToken;
    }
    if (step !== 'recover' || known.grant === undefined || this.#has('any-key-back')) return;
    const isKnown = this.#has('key-id-is-enough')
      ? equalBytes(grant.keyId, known.grant.keyId)
      : grant.key.equals(known.grant.key);
    if (!isKnown) throw new Failure('lied');
  }

  async #challenge(known: Known, ephemeral: X25519KeyPair): Promise<Nonce> {
    const body = {
      accountId: toPrefixedHex(this.#account),
      ephemeralPublicKey: toPrefixedHex(ephemeral.publicKey),
    };
    const answer = this.#parsed(challengeAnswer, await this.#post(known, '/challenge', body), [
      'server',
      'nonce',
      'expiresAtMs',
      'instanceId',
    ]);
    if (
      !this.#has('any-challenger') &&
      !equalBytes(AccountId.parse(answer.server, 'server'), known.account)
    ) {
      throw new Failure('protocol');
    }
    const text = this.#has('pads-short-values') ? answer.nonce.padEnd(66, '0') : answer.nonce;
    const nonce = Nonce.parse(text, 'nonce');
    this.#firstNonce ??= nonce;
    return this.#has('one-nonce-for-all') ? this.#firstNonce : nonce;
  }

  #open(known: Known, body: unknown, ephemeral: X25519KeyPair, reportData: ReportData): KeyGrant {
    const answer = this.#parsed(keyAnswer, body, ['server', 'instanceId', 'enc', 'ciphertext']);
    const named = AccountId.parse(answer.server, 'server');
    if (!this.#has('any-name-in-answer') && !equalBytes(named, known.account)) throw new Failure('protocol');
    const text = this.#has('any-base64') ? answer.ciphertext.trim() : answer.ciphertext;
    const ciphertext = tryFromBase64(text);
    if (ciphertext === undefined) throw new Failure('protocol');
    const plaintext = openAuth({
      recipientKeyPair: ephemeral,
      senderPublicKey: known.x25519PublicKey,
      enc: bytes(answer.enc),
      info: sealedKeyInfo(known.account, this.#account),
      aad: sealedKeyAad(reportData, InstanceId.parse(answer.instanceId, 'instanceId')),
      ciphertext,
    });
    if (plaintext === undefined) {
      if (this.#has('takes-what-does-not-open')) return known.grant ?? inventedGrant();
      throw new Failure('protocol');
    }
    return decodeKeyGrant(this.#relaxed(plaintext));
  }

  /** Takes from a sealed text what a strict reader would refuse. */
  #relaxed(plaintext: Uint8Array): Uint8Array {
    const fields = JSON.parse(new TextDecoder().decode(plaintext)) as Record<string, unknown>;
    const extensions = fields['extensions'] as Record<string, unknown> | undefined;
    if (extensions !== undefined) {
      if (this.#has('no-extensions')) throw new Failure('protocol');
      if (this.#has('empty-extensions') && Object.keys(extensions).length === 0) delete fields['extensions'];
    }
    if (this.#has('unknown-fields')) delete fields['note'];
    if (this.#has('any-finalized')) fields['finalized'] = { number: 0, hash: toPrefixedHex(random(32)) };
    if (this.#has('null-is-absent') && fields['extensions'] === null) delete fields['extensions'];
    if (this.#has('pads-short-values')) fields['key'] = String(fields['key']).padEnd(66, '0');
    return new TextEncoder().encode(JSON.stringify(fields));
  }

  #parsed<T extends Parameters<typeof parseWire>[0]>(schema: T, body: unknown, known: readonly string[]) {
    const fields = body as Record<string, unknown>;
    const kept = Object.fromEntries(Object.entries(fields).filter(([name]) => known.includes(name)));
    return parseWire(schema, this.#has('unknown-fields') ? kept : fields);
  }

  async #link(known: Known): Promise<void> {
    const key = known.grant?.key ?? noSecret;
    const slotId = this.#has('link-bound-to-no-slot') ? PLAIN_SLOT_ID : known.slotId;
    const bound = { server: known.account, account: this.#account, slotId };
    const lineage = sealLineageKey(key, bound, this.#lineage.keyOf(known.account), random);
    const confirm = !this.#has('never-confirms');
    const status = { confirm, lineage, incarnation: this.#incarnation, head: undefined, report: undefined };
    const state = await this.#ask(known, 'key-status', keyStatusContent(status));
    if (this.#has('link-not-checked')) return;
    if (!state.lineage?.slots.some((one) => equalBytes(one, known.slotId))) throw new Failure('protocol');
  }

  async #ask(known: Known, route: MacRoute, content: MacContent): Promise<Forgotten> {
    const isLineage = route.startsWith('lineage');
    const key = isLineage ? this.#lineage.keyOf(known.account) : (known.grant?.key ?? noSecret);
    const name = isLineage ? lineageIdOf(key) : known.slotId;
    const timestampMs = Date.now() - (this.#has('clock-off') ? 3_600_000 : 0);
    const used = this.#has('one-random') ? oneRandom : random(16);
    const envelope = { server: known.account, account: this.#account, name, timestampMs, random: used };
    const { mac, body } = macMessage(key, route, envelope, content);
    const sent = this.#has('mac-of-another-time') ? { ...body, timestampMs: timestampMs + 1 } : body;
    const told = (await this.#post(known, `/${route}`, sent)) as Record<string, unknown>;
    const { extensions, ...others } = told;
    const answer = extensions === null && this.#has('null-is-absent') ? others : told;
    if (route === 'forget') {
      const { forgotten, mac: said } = decodeForgotten(answer);
      this.#requireMac(
        key,
        route,
        mac,
        said,
        (state) => forgottenBytes({ ...forgotten, ...state }),
        forgotten,
      );
      return forgotten;
    }
    const { state, mac: said } = decodeServerState(answer);
    this.#requireMac(key, route, mac, said, serverStateBytes, state);
    return { ...state, erased: false };
  }

  #requireMac<T extends ServerState>(
    key: SecretBytes,
    route: MacRoute,
    sent: Mac,
    said: Mac,
    toBytes: (state: T) => Uint8Array,
    state: T,
  ): void {
    if (this.#has('ignores-answer-mac') || this.#has(`ignores-mac-of-${route}`)) return;
    const taken = [state];
    if (this.#has('mac-without-draining')) taken.push({ ...state, draining: false });
    if (this.#has('mac-without-extensions')) taken.push({ ...state, extensions: new Map() });
    if (!taken.some((one) => macMatches(said, responseMac(key, route, sent, toBytes(one))))) {
      throw new Failure('protocol');
    }
  }

  async #attest(known: Known): Promise<void> {
    const { rootCertificate, quoteProvider, timeMs, finalized, maxBlocksBehind } = this.#scenario;
    const attestation = decodeAttestation(await this.#send(known, 'GET', '/attestation'), 'answer');
    if (this.#has('attests-nothing')) return;
    const expected = attestationReportData({ ...attestation, x25519PublicKey: known.x25519PublicKey });
    const isBound = equalBytes(parseQuote(attestation.quote).body.reportData, expected);
    if (!isBound && !this.#has('attests-unbound')) throw new Failure('untrusted');
    if (finalized.number - attestation.finalized.number > maxBlocksBehind && !this.#has('attests-old')) {
      throw new Failure('untrusted');
    }
    if (this.#has('attests-unsigned')) return;
    const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(rootCertificate) });
    const nowMs = this.#has('attests-by-own-clock') ? Date.now() : timeMs;
    const collateral = await getCollateral(attestation.quote, {
      endpoints: [quoteProvider],
      verifier,
      nowMs,
    });
    if (this.#has('attests-debug')) verifier.verify(attestation.quote, { collateral, nowMs });
    else verifyQuote(attestation.quote, { collateral, nowMs, verifier, policy: defaultPolicy });
  }

  async #quote(reportData: ReportData): Promise<Uint8Array> {
    const answer = await fetch(`${this.#scenario.quoteProvider}/quote`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reportData: toPrefixedHex(reportData) }),
    });
    const { quote } = (await answer.json()) as { readonly quote: string };
    const made = tryFromBase64(quote) ?? new Uint8Array();
    if (this.#has('forged-quote')) made[30] = (made[30] ?? 0) ^ 1;
    return made;
  }

  #post(known: Known, path: string, body: object): Promise<unknown> {
    return this.#send(known, 'POST', path, body);
  }

  async #send(known: Known, method: string, path: string, body?: object): Promise<unknown> {
    const tries = this.#has('retries-without-limit') ? 30 : this.#has('retries-at-once') ? 2 : 1;
    for (let left = tries; ; left--) {
      try {
        return await this.#sendOnce(known, method, path, body);
      } catch (error) {
        if (left <= 1 || !(error instanceof Failure) || error.reason !== 'refused') throw error;
      }
    }
  }

  async #sendOnce(known: Known, method: string, path: string, body?: object): Promise<unknown> {
    const token =
      this.#has('sends-token') && known.token !== undefined ? toHex(known.token.reveal()) : 'none';
    let response: Response;
    let text: string;
    try {
      const send = this.#has('waits-for-heads') || this.#has('waits-for-interim') ? this.#patient : fetch;
      response = await send(`${known.url}${path}`, {
        method,
        headers: {
          'content-type': this.#has('text-plain') ? 'text/plain' : 'application/json',
          'x-token': token,
        },
        redirect: this.#has('follows-redirects') ? 'follow' : 'error',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(this.#has('waits-forever') ? {} : { signal: AbortSignal.timeout(this.#scenario.timeoutMs) }),
      });
      text = await this.#read(response);
    } catch (error) {
      if (this.#has('crashes-when-cut')) throw new Crash('the connection was cut');
      throw error instanceof Failure ? error : new Failure('unreachable');
    }
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      if (this.#has('crashes-without-json')) throw new Crash('Unexpected token');
      throw new Failure('protocol');
    }
    if (this.#has('crashes-when-nested') && text.includes('['.repeat(1_000)))
      throw new Crash('stack overflow');
    if (response.status === 200) return json;
    const code = (json as { readonly code?: string }).code ?? '';
    throw this.#has('hides-codes') ? new Failure('unreachable') : new Failure('refused', code);
  }

  /** As fetch, but with a timeout that starts again at each part of a head, or at each interim answer. */
  readonly #patient = (url: string, { method, headers, body }: PlainRequest): Promise<Response> =>
    new Promise((resolve, reject) => {
      const sent = request(url, { method, headers, agent: false });
      const timer = setTimeout(() => sent.destroy(new Error('timeout')), this.#scenario.timeoutMs);
      const endsLater = (defect: Defect) => () => {
        if (this.#has(defect)) timer.refresh();
        else if (defect === 'waits-for-interim') sent.destroy(new Error('interim'));
      };
      sent.on('information', endsLater('waits-for-interim'));
      sent.on('socket', (socket) => socket.on('data', endsLater('waits-for-heads')));
      sent.on('close', () => clearTimeout(timer));
      sent.on('error', reject);
      sent.on('response', (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve(new Response(Buffer.concat(parts), { status: answer.statusCode ?? 0 })),
        );
      });
      sent.end(body);
    });

  async #read(response: Response): Promise<string> {
    if (this.#has('reads-everything')) return response.text();
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body ?? []) {
      length += part.length;
      if (length > MAX_ANSWER_BYTES) throw new Failure('protocol');
      parts.push(part);
    }
    return Buffer.concat(parts).toString('utf8');
  }

  /** Does something at every server that is left. @param isHalf says nothing of what went well: the step goes on. */
  async #each(
    step: Step,
    act: (known: Known) => Promise<{ readonly keyId: string } | undefined>,
    isHalf = false,
  ): Promise<void> {
    const left = this.#servers.filter(({ failed }) => !failed);
    const isInTurn = this.#has(isHalf ? 'challenges-in-turn' : 'requests-in-turn');
    let before: Promise<void> = Promise.resolve();
    await Promise.all(
      left.map(async (known) => {
        const turn = before;
        let done = (): void => undefined;
        if (isInTurn) {
          before = new Promise((resolve) => {
            done = resolve;
          });
        }
        await turn;
        try {
          const more = await act(known);
          if (this.#has(`refuses-${step}`)) throw new Failure('protocol');
          if (!isHalf) this.#print({ step, server: known.name, ok: true, ...more });
        } catch (error) {
          if (error instanceof Crash) throw error;
          const { reason, code } = error instanceof Failure ? error : new Failure('protocol');
          known.failed = true;
          this.#print({
            step,
            server: known.name,
            ok: false,
            reason,
            ...(code === undefined ? {} : { code }),
          });
          if (this.#has('one-ends-all')) this.#isOver = true;
        } finally {
          done();
        }
      }),
    );
  }

  #print(line: object): void {
    this.printed.push(JSON.stringify(line));
  }
}

const bytes = (text: string): Uint8Array => tryFromHex(text.slice(2)) ?? new Uint8Array();
const noSecret = new SecretBytes(new Uint8Array(32));

function inventedGrant(): KeyGrant {
  const key = random(32);
  const fields = {
    key: toPrefixedHex(key),
    recoveryToken: toPrefixedHex(random(32)),
    keyId: toPrefixedHex(random(16)),
    created: true,
    createdAtMs: 0,
    serverTimeMs: 0,
    finalized: { number: 0, hash: toPrefixedHex(random(32)) },
  };
  return decodeKeyGrant(new TextEncoder().encode(JSON.stringify(fields)));
}
