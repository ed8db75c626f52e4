import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child-process.ts';
import { GIVE_UP_AFTER_MS } from './slowness.ts';

/** Nodes run what was built, also when this file runs by its source. */
const built = new URL(import.meta.url.endsWith('.ts') ? '../dist/devnet/' : './', import.meta.url);
const cli = fileURLToPath(new URL('../src/cli/main.js', built));
const liar = fileURLToPath(new URL('./lying-node.js', built));

/** How long an agent may take to answer; a stopped process answers never. */
const ANSWER_MS = 30_000;

/** The answer of a node on `/status` of its agent; only the fields that the demonstration uses. */
export interface NodeStatus {
  readonly state: string;
  readonly ready: boolean;
  readonly summary: string;
  /** Why the store is closed. */
  readonly cause?: string;
  readonly accountId?: string;
  readonly x25519PublicKey?: string;
  readonly have?: number;
  readonly need?: number;
  readonly live?: number;
  readonly n?: number;
  readonly generation?: number;
  /** Its part in the ring: members by the newest registry, and the block of the view by which it serves. */
  readonly ring?: { readonly standing: string; readonly members: number; readonly view?: number };
  readonly slots?: readonly {
    readonly server: string;
    readonly endpoint?: string;
    readonly standing: string;
  }[];
}

/** One node of the network: a process, a port, a folder, a platform. */
export class DevelopmentNode {
  readonly number: number;
  readonly home: string;
  readonly port: number;
  readonly metricsPort: number;
  readonly mayLie: boolean;
  readonly #rootFile: string;
  readonly #flags: readonly string[];
  #child: Child | undefined;
  /** Known once it has been open. */
  accountId = '';
  x25519PublicKey = '';

  constructor(options: {
    readonly number: number;
    readonly home: string;
    readonly port: number;
    readonly metricsPort: number;
    readonly rootFile: string;
    /** Whether the node runs code that makes it give false answers after SIGUSR2. */
    readonly mayLie: boolean;
    /** Options of Node.js for its process. */
    readonly flags?: readonly string[];
  }) {
    this.number = options.number;
    this.home = options.home;
    this.port = options.port;
    this.metricsPort = options.metricsPort;
    this.#rootFile = options.rootFile;
    this.mayLie = options.mayLie;
    this.#flags = options.flags ?? [];
  }

  get name(): string {
    return `node-${this.number}`;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get configFile(): string {
    return join(this.home, 'latchkey.yaml');
  }

  get socketPath(): string {
    return join(this.home, 'agent.sock');
  }

  get isRunning(): boolean {
    return this.#child?.isRunning ?? false;
  }

  /** Starts the process. */
  start(): void {
    const args = ['serve', '--config', this.configFile, '--insecure-trust-root', this.#rootFile];
    this.#child = new Child(this.mayLie ? liar : cli, args, this.logFile, this.#flags);
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.signal(name);
  }

  async end(name: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.#child?.end(name);
  }

  /** What the process said last. */
  lastLogLine(): string {
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  }

  /** Bytes of log so far. */
  logLength(): number {
    return readFileSync(this.logFile).length;
  }

  get logFile(): string {
    return join(this.home, 'log.jsonl');
  }

  /** Asks the agent on its Unix socket. */
  ask(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly json: unknown }> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const asking = request(
        { socketPath: this.socketPath, method, path, headers, timeout: ANSWER_MS },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            try {
              const json: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
              resolve({ status: response.statusCode ?? 0, json });
            } catch (error) {
              reject(error);
            }
          });
        },
      );
      asking.on('error', reject);
      asking.on('timeout', () => asking.destroy(new Error('no answer')));
      asking.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** The state of the node, or `undefined` while it does not answer. */
  async status(): Promise<NodeStatus | undefined> {
    try {
      const { json } = await this.ask('GET', '/status');
      // The agent is part of this project; the demonstration reads only the fields that are declared above.
      const status = json as NodeStatus;
      this.accountId = status.accountId ?? this.accountId;
      this.x25519PublicKey = status.x25519PublicKey ?? this.x25519PublicKey;
      return status;
    } catch {
      return undefined;
    }
  }

  /**
   * Waits until the status satisfies a condition.
   * @throws Error with the last status when it does not in time.
   */
  async until(what: string, condition: (status: NodeStatus) => boolean): Promise<NodeStatus> {
    const end = Date.now() + GIVE_UP_AFTER_MS;
    let last: NodeStatus | undefined;
    while (Date.now() < end) {
      if (!this.isRunning) throw new Error(`${this.name} is not running: ${this.lastLogLine()}`);
      last = await this.status();
      if (last !== undefined && condition(last)) return last;
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    const seen =
      last === undefined ? 'no answer' : JSON.stringify({ summary: last.summary, slots: last.slots });
    throw new Error(
      `${this.name}: not ${what} within ${GIVE_UP_AFTER_MS / 60_000} minutes; last seen: ${seen}`,
    );
  }
}

/** Every slot of the largest generation is live: five servers, which a network of six nodes or more gives. */
export const isFullyBacked = ({ state, ready, n, live, slots = [] }: NodeStatus): boolean =>
  state === 'backed' && ready && n === 5 && live === 5 && slots.length === 5;

/** States in which the store is open. */
export const isOpen = ({ state }: NodeStatus): boolean => ['open', 'degraded', 'backed'].includes(state);
