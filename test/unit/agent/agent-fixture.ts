import type { Hono } from 'hono';
import type { RollbackDesk } from '../../../src/agent/rollback-routes.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import type { MiddlewareEnv } from '../../../src/http/middleware.ts';
import { Vault } from '../../../src/keyserver/vault.ts';
import { agentApp } from '../../../src/node/agent.ts';
import { Drain } from '../../../src/node/drain.ts';
import { Rotation } from '../../../src/node/rotation.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { Metrics } from '../../../src/observe/metrics.ts';
import type { ConditionsGuardOptions } from '../../../src/rituals/conditions.ts';
import type { Store } from '../../../src/store/api/store-api.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { unknownAccounts } from '../../support/server-memory.ts';
import { requireDescribed } from './described-answer.ts';

/** What the agent answered. */
export interface AgentReply {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
}

/** An agent over a store in memory, which can be locked and swapped. */
export class AgentWorld {
  readonly logged: string[] = [];
  store: Store | undefined;
  nowMs = 0;
  readonly drain: Drain;
  /** What a rotation does; a test may change it. */
  rotate: () => Promise<number> = async () => 2;
  readonly rotation = new Rotation(() => this.rotate(), silentLog);
  /** What accepts an older store. */
  rollback: RollbackDesk | undefined;
  readonly app: Hono<MiddlewareEnv>;

  constructor(
    store: Store = new MemoryStore(),
    rituals: ConditionsGuardOptions = {},
    vault = new Vault(systemRandom, unknownAccounts),
    transit = true,
  ) {
    this.store = store;
    this.drain = new Drain({ vault, log: silentLog, clock: systemClock });
    this.app = agentApp(
      {
        log: (_level, event, fields) => this.logged.push(JSON.stringify({ event, ...fields })),
        metrics: new Metrics(),
        random: (length) => new Uint8Array(length).fill(7),
        now: () => this.nowMs,
        deadlineMs: 20_000,
      },
      {
        store: () => {
          if (this.store !== undefined) return this.store;
          throw new ProblemError('NODE_LOCKED', 'the node is locked (1 of 3): two servers are silent', {
            observed: 'locked',
          });
        },
        drain: () => {
          if (this.store !== undefined) return this.drain;
          throw new ProblemError('NODE_LOCKED', 'the node is locked (1 of 3): two servers are silent');
        },
        rotation: () => {
          if (this.store !== undefined) return this.rotation;
          throw new ProblemError('NODE_LOCKED', 'the node is locked (1 of 3): two servers are silent');
        },
        audit: () => {
          throw new TypeError('not asked for here');
        },
        fleet: () => undefined,
        custody: () => {
          throw new TypeError('not asked for here');
        },
        rollback: () => {
          if (this.rollback !== undefined) return this.rollback;
          throw new ProblemError('NODE_LOCKED', 'the machine is not examined yet');
        },
        status: () => ({ state: this.store === undefined ? 'locked' : 'backed' }),
        rituals,
        transit,
      },
    );
  }

  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<AgentReply> {
    const response = await this.app.request(`http://localhost${path}`, {
      method,
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    // The agent answers JSON objects only.
    const json = (await response.json()) as Record<string, unknown>;
    const type = response.headers.get('content-type');
    requireDescribed({ method, path }, { status: response.status, type, json });
    return { status: response.status, json, headers: response.headers };
  }
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64');
