import { equalBytes } from '../../bytes/concat.ts';
import { AccountId, BlockHash } from '../../bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { systemRandom } from '../../crypto/random.ts';
import type { BlockReference } from '../../protocol/report-data.ts';
import { Skipped, Violation } from '../check.ts';
import {
  type ClientOutput,
  intentOf,
  type Outcome,
  type RunClient,
  readOutcomes,
  requiredSteps,
  routeOf,
  type Scenario,
  type Step,
} from './contract.ts';
import type { Fault } from './fault.ts';
import { ScriptedListener } from './scripted-listener.ts';
import { ScriptedServer, type ScriptedServerOptions } from './scripted-server.ts';

/** What a client is tried with. */
export interface ForeignClientOptions extends Pick<ScriptedServerOptions, 'quote' | 'isGenuine'> {
  readonly run: RunClient;
  /** Base address of mock-tdx. */
  readonly quotes: string;
  /** Its root certificate, PEM. */
  readonly rootPem: string;
  /** How long a client may wait for one answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** What happens in one run. */
export interface RunWish {
  readonly steps: readonly Step[];
  /** What the first server does wrong. */
  readonly fault?: Fault;
  /** What the servers after the first one do wrong; default is one that does nothing wrong. */
  readonly others?: readonly (Fault | undefined)[];
  /** How long challenges live; default is the time of the protocol. */
  readonly challengeTtlMs?: number;
  /** Added to the time by which the client judges. */
  readonly laterMs?: number;
}

/** A finished run: what the client printed and what the servers saw. */
export class ClientRun {
  readonly scenario: Scenario;
  readonly output: ClientOutput;
  readonly listeners: readonly ScriptedListener[];
  /** What was printed about steps. */
  readonly outcomes: readonly Outcome[];
  readonly #lineageSecret: SecretBytes;

  constructor(
    scenario: Scenario,
    output: ClientOutput,
    listeners: readonly ScriptedListener[],
    lineageSecret: SecretBytes,
  ) {
    if (output.isLate) throw new Violation('the client does not end');
    if (output.exitCode !== 0) {
      const said = output.stderr.trim().split('\n').at(-1)?.slice(0, 200) ?? '';
      throw new Violation(`the client ends with ${output.exitCode ?? 'a signal'}, not with 0: ${said}`);
    }
    this.scenario = scenario;
    this.output = output;
    this.listeners = listeners;
    this.outcomes = readOutcomes(output.stdout);
    this.#lineageSecret = lineageSecret;
    for (const { step: name, server, ok, unsupported } of this.outcomes) {
      const step = scenario.steps.find((told) => told === name);
      if (step === undefined) throw new Violation(`the client was not told to do the step ${name}`);
      const isOptional = !requiredSteps.includes(step);
      if (unsupported === true && isOptional) throw new Skipped(`the client does not know the step ${step}`);
      if (unsupported === true) throw new Violation(`the client must know the step ${step}`);
      if (ok === true) this.#requireAsked(step, server ?? '');
    }
  }

  /** One of the servers. */
  server(index: number): ScriptedServer {
    return this.listener(index).server;
  }

  listener(index: number): ScriptedListener {
    const listener = this.listeners[index];
    if (listener === undefined) throw new RangeError(`there are ${this.listeners.length} servers`);
    return listener;
  }

  /** What the client said of a step at a server. @throws Violation when it said nothing, or several things. */
  outcome(step: Step, index: number): Outcome {
    const said = this.outcomes.filter(
      (one) => one.step === step && one.server !== undefined && this.#isOf(one.server, index),
    );
    const [first] = said;
    if (first === undefined || said.length > 1) {
      throw new Violation(
        `the client printed ${said.length} lines about ${step} at server ${index + 1}, not one`,
      );
    }
    return first;
  }

  /** Everything that must never be printed or sent. */
  get secrets(): readonly SecretBytes[] {
    return [this.#lineageSecret, ...this.listeners.flatMap(({ server }) => server.memory.secrets)];
  }

  /** A step that went well needs a request: what a client says alone proves nothing. */
  #requireAsked(step: Step, server: string): void {
    const wasAsked = this.listeners
      .filter((_, index) => this.#isOf(server, index))
      .flatMap((listener) => listener.server.requests)
      .some(({ path, json }) => path === routeOf[step] && json['intent'] === intentOf[step]);
    if (!wasAsked) throw new Violation(`the client says that ${step} is done, and never asked for it`);
  }

  #isOf(text: string, index: number): boolean {
    try {
      return equalBytes(AccountId.parse(text, 'server'), this.server(index).account);
    } catch {
      throw new Violation(`the client names a server that is no account: ${text.slice(0, 80)}`);
    }
  }
}

/** A block like any other. */
const FINALIZED_NUMBER = 1_000_000;
/** How old a block an attestation may cite. */
const MAX_BLOCKS_BEHIND = 100;

/** A client in another language, run against servers that may do wrong: two, where a rule does not need more. */
export class ForeignClient {
  /** How long the client may wait for one answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly #options: ForeignClientOptions;
  readonly #runs = new Map<string, Promise<ClientRun>>();

  constructor(options: ForeignClientOptions) {
    this.#options = options;
    this.timeoutMs = options.timeoutMs;
  }

  /** A run in which nothing is wrong; rules with the same steps share it. @throws Violation, Skipped. */
  good(...steps: readonly Step[]): Promise<ClientRun> {
    const name = steps.join(' ');
    const known = this.#runs.get(name) ?? this.run({ steps });
    this.#runs.set(name, known);
    return known;
  }

  /** One run of the client. @throws Violation, Skipped. */
  async run(wish: RunWish): Promise<ClientRun> {
    const { steps, fault, others = [undefined], challengeTtlMs, laterMs = 0 } = wish;
    const { quote, isGenuine, run, quotes, rootPem, timeoutMs } = this.#options;
    const finalized: BlockReference = {
      number: FINALIZED_NUMBER,
      hash: BlockHash.of(systemRandom(BlockHash.byteLength)),
    };
    const lineageSecret = SecretBytes.adopt(systemRandom(32));
    const life = challengeTtlMs === undefined ? {} : { challengeTtlMs };
    const parts = { random: systemRandom, nowMs: Date.now, quote, isGenuine, finalized, lineageSecret };
    const listeners = [fault, ...others].map((one) => {
      const wrong = one === undefined ? {} : { fault: one };
      return new ScriptedListener(new ScriptedServer({ ...parts, ...life, ...wrong }));
    });
    try {
      const servers = await Promise.all(
        listeners.map(async (listener) => ({
          accountId: encodeSs58(listener.server.account),
          x25519PublicKey: toPrefixedHex(listener.server.x25519PublicKey),
          endpoint: await listener.listen(),
        })),
      );
      const scenario: Scenario = {
        version: 1,
        account: toPrefixedHex(systemRandom(32)),
        lineageSecret: `0x${toHex(lineageSecret.reveal())}`,
        servers,
        quoteProvider: quotes,
        rootCertificate: rootPem,
        timeMs: Date.now() + laterMs,
        finalized: { number: finalized.number, hash: toPrefixedHex(finalized.hash) },
        maxBlocksBehind: MAX_BLOCKS_BEHIND,
        timeoutMs,
        steps,
      };
      return new ClientRun(scenario, await run(scenario), listeners, lineageSecret);
    } finally {
      await Promise.all(listeners.map((listener) => listener.close()));
    }
  }
}
