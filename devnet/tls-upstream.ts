import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, isIPv4 } from 'node:net';
import {
  bitString,
  contextConstructed,
  contextPrimitive,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from '../mock-tdx/pki/der-writer.ts';
import { pem } from '../mock-tdx/pki/pem.ts';
import { utf8 } from '../src/bytes/concat.ts';

/** A key and a certificate for TLS, PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
}

const DAY_MS = 86_400_000;

/** A certificate that signs itself, for these names and IPv4 addresses. */
export function tlsIdentity(names: readonly string[], notAfterMs = Date.now() + DAY_MS): TlsIdentity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const name = sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8String('upstream of a test'))));
  const alternatives = names.map((text) =>
    isIPv4(text)
      ? contextPrimitive(7, Uint8Array.from(text.split('.'), Number))
      : contextPrimitive(2, utf8(text)),
  );
  const extension = sequence(objectIdentifier('2.5.29.17'), octetString(sequence(...alternatives)));
  const toBeSigned = sequence(
    contextConstructed(0, integer(2)),
    integer(new Uint8Array(createHash('sha256').update(spki).digest()).slice(0, 8)),
    algorithm,
    name,
    sequence(time(notAfterMs - 10 * DAY_MS), time(notAfterMs)),
    name,
    spki,
    contextConstructed(3, sequence(extension)),
  );
  const signature = new Uint8Array(sign('sha256', toBeSigned, privateKey));
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: pem('CERTIFICATE', sequence(toBeSigned, algorithm, bitString(signature))),
  };
}

/** A service on loopback. */
export interface Upstream extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
}

/** Starts an HTTPS service on loopback, or an HTTP one without an identity. */
export async function startUpstream(handler: RequestListener, identity?: TlsIdentity): Promise<Upstream> {
  const server = identity === undefined ? createHttpServer(handler) : createServer(identity, handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    // Of a server that listens on TCP.
    port: (server.address() as AddressInfo).port,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
