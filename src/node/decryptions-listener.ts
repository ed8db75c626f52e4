import { Hono } from 'hono';
import { AccountId } from '../bytes/fixed-bytes.ts';
import type { Config } from '../config/schema.ts';
import type { Secrets } from '../config/secrets.ts';
import { DecryptionService } from '../decryptions/decryption-service.ts';
import { decryptionsApp } from '../decryptions/decryptions-app.ts';
import { problemResponse } from '../decryptions/problem-response.ts';
import { pruneRegularly } from '../decryptions/prune-regularly.ts';
import { type ServedApp, serveApp } from '../decryptions/serve-app.ts';
import type { WriteAuthorization } from '../decryptions/write-authorization.ts';
import { type LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { DecryptionsPrometheus } from '../http/decryptions-metrics.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Store } from '../store/api/store-api.ts';

type DecryptionsSection = NonNullable<Config['decryptions']>;

/** What the listener is given by its node. */
interface Surroundings {
  readonly secrets: Secrets;
  readonly log: Log;
  readonly metrics: Metrics;
  /** What to answer while the store is closed: NODE_LOCKED with the state as the reason. */
  readonly locked: () => LatchkeyError;
}

/** The decryption service of a node: its own listener, over the node's store once that is open. */
export class DecryptionsListener {
  readonly #section: DecryptionsSection;
  readonly #authorization: WriteAuthorization;
  readonly #around: Surroundings;
  readonly #prometheus = new DecryptionsPrometheus();
  #listening: ServedApp | undefined;
  #service: DecryptionService | undefined;
  #app: Hono | undefined;
  #stopPruning: () => void = () => undefined;

  private constructor(section: DecryptionsSection, around: Surroundings) {
    this.#section = section;
    this.#around = around;
    this.#authorization = authorizationOf(section, around.secrets);
    const { registry } = this.#prometheus;
    for (const { name } of registry.getMetricsAsArray()) {
      const metric = registry.getSingleMetric(name);
      if (metric !== undefined) around.metrics.registry.registerMetric(metric);
    }
  }

  /**
   * Listens at once; until {@link open} every request is told why the store is closed.
   * @throws ProblemError DECRYPTIONS_LISTEN_FAILED; CONFIG_INVALID when the write token was not read.
   */
  static async start(section: DecryptionsSection, around: Surroundings): Promise<DecryptionsListener> {
    const listener = new DecryptionsListener(section, around);
    const outer = new Hono();
    // The environment carries node's response, by which the service sees that a client went away.
    outer.all('*', (context) => {
      const app = listener.#app;
      return app === undefined ? problemResponse(around.locked()) : app.fetch(context.req.raw, context.env);
    });
    listener.#listening = await serveApp(outer, {
      address: section.host,
      port: section.port,
      maxWaiters: section.maxWaiters,
      maxWaitersPerNetwork: section.maxWaitersPerNetwork,
    });
    if (listener.#authorization.kind === 'open')
      around.log('warn', 'decryptions.open-writes', {
        message: 'everybody who reaches this listener may write (decryptions.writeAuthorization)',
      });
    return listener;
  }

  get url(): string {
    return this.#listening?.url ?? '';
  }

  /** Serves from now on. */
  async open(store: Store): Promise<void> {
    const onError = (error: unknown, requestId?: string): void =>
      this.#around.log('error', 'decryptions.failed', {
        error: String(error),
        ...(requestId === undefined ? {} : { requestId }),
      });
    this.#service = await DecryptionService.open(store, { ...this.#section, metrics: this.#prometheus });
    this.#stopPruning = pruneRegularly(this.#service, this.#section.prune, onError);
    this.#app = decryptionsApp(this.#service, {
      ...this.#section,
      writeAuthorization: this.#authorization,
      onError,
    });
  }

  /** Sends waiters away and finishes requests under way, within the deadline; the store stays the node's. */
  async close(deadlineMs: number): Promise<void> {
    this.#stopPruning();
    this.#service?.close();
    await this.#listening?.close(deadlineMs);
  }
}

function authorizationOf(
  { writeAuthorization }: DecryptionsSection,
  { decryptionsWriteToken }: Secrets,
): WriteAuthorization {
  switch (writeAuthorization.kind) {
    case 'open':
      return { kind: 'open' };
    case 'bearer': {
      if (decryptionsWriteToken !== undefined) return { kind: 'bearer', token: decryptionsWriteToken };
      const place = 'decryptions.writeAuthorization.tokenFile';
      throw new ProblemError('CONFIG_INVALID', `${place}: the token was not read`, { field: place });
    }
    case 'sr25519':
      return {
        kind: 'sr25519',
        accounts: writeAuthorization.accounts.map((account) =>
          AccountId.parse(account, 'decryptions.writeAuthorization.accounts'),
        ),
      };
  }
}
