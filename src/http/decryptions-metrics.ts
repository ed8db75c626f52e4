import { Hono } from 'hono';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EngineHealth } from '../decryptions/decryption-table.ts';
import type { DecryptionMetrics } from '../decryptions/metrics.ts';

/** Prometheus metrics of the decryption service. No label carries a key. */
export class DecryptionsPrometheus implements DecryptionMetrics {
  readonly registry = new Registry();
  readonly #lookups = new Counter({
    name: 'latchkey_decryptions_lookups_total',
    help: 'Lookups by outcome',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  readonly #waitSeconds = new Histogram({
    name: 'latchkey_decryptions_wait_seconds',
    help: 'How long lookups waited',
    buckets: [0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10],
    registers: [this.registry],
  });
  readonly #writes = new Counter({
    name: 'latchkey_decryptions_writes_total',
    help: 'Writes by outcome',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  readonly #waiting = new Gauge({
    name: 'latchkey_decryptions_waiting',
    help: 'Requests that wait now',
    registers: [this.registry],
  });
  readonly #removed = new Counter({
    name: 'latchkey_decryptions_removed_total',
    help: 'Results deleted or pruned',
    registers: [this.registry],
  });

  lookup(outcome: string, waitedMs: number): void {
    this.#lookups.inc({ outcome });
    if (waitedMs > 0) this.#waitSeconds.observe(waitedMs / 1000);
  }

  write(outcome: string): void {
    this.#writes.inc({ outcome });
  }

  waiting(count: number): void {
    this.#waiting.set(count);
  }

  removed(count: number): void {
    this.#removed.inc(count);
  }

  /** `GET /metrics` and `GET /readyz`, for a listener of its own. @param health state of the engine at the moment. */
  app(health: () => EngineHealth): Hono {
    const ready = new Gauge({
      name: 'latchkey_decryptions_engine_ready',
      help: '1 while the engine of the results works: the sealed store, or the watch of an etcd cluster',
      labelNames: ['engine'],
      registers: [this.registry],
      collect: () => {
        const { engine, isReady } = health();
        ready.set({ engine }, isReady ? 1 : 0);
      },
    });
    const app = new Hono();
    app.get('/metrics', async (c) =>
      c.body(await this.registry.metrics(), 200, { 'content-type': this.registry.contentType }),
    );
    app.get('/readyz', (c) => {
      const { engine, isReady, reason } = health();
      return c.json({ ready: isReady, engine, reason }, isReady ? 200 : 503);
    });
    return app;
  }
}
