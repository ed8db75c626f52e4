import { once } from 'node:events';
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { createDevelopmentPki, type DevelopmentPki } from './development-pki.ts';
import { mockTdxApp } from './http/app.ts';
import type { ServiceStyle } from './http/certification-routes.ts';
import type { TdMeasurements } from './measurements.ts';

/** How mock-tdx is started. */
export interface MockTdxOptions {
  /** 0, the default, takes a free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** The same seed gives the same root, certificates and platforms; at random without. */
  readonly seed?: Uint8Array;
  /** What quotes say where the request does not; development measurements for the rest. */
  readonly measurements?: Partial<TdMeasurements>;
  /** Which service to imitate; default pccs. */
  readonly style?: ServiceStyle;
  readonly nowMs?: () => number;
}

/** A running mock-tdx. */
export interface MockTdx extends AsyncDisposable {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly rootPem: string;
  readonly pki: DevelopmentPki;
  /** Ends open connections and frees the port. */
  close(): Promise<void>;
}

/** Starts the quote maker and collateral service of a development PKI; rejects when the port is taken. */
export async function startMockTdx(options: MockTdxOptions = {}): Promise<MockTdx> {
  const host = options.host ?? '127.0.0.1';
  const pki = createDevelopmentPki(options.seed === undefined ? {} : { seed: options.seed });
  const app = mockTdxApp({
    pki,
    measurements: options.measurements ?? {},
    style: options.style ?? 'pccs',
    nowMs: options.nowMs ?? Date.now,
  });
  // Without TLS options the adaptor always makes a plain HTTP/1 server.
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('mock-tdx listens on TCP only');
  const close = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}`,
    rootPem: pki.rootPem,
    pki,
    close,
    [Symbol.asyncDispose]: close,
  };
}
