import { Hono } from 'hono';
import type { Metrics } from '../observe/metrics.ts';

/** The metrics listener. It has its own address, so that metrics are not on the open port. */
export function metricsApp(metrics: Metrics, refresh: () => void | Promise<void>): Hono {
  const app = new Hono();
  app.get('/metrics', async (context) => {
    await refresh();
    return context.text(await metrics.text(), 200, { 'content-type': metrics.registry.contentType });
  });
  return app;
}
