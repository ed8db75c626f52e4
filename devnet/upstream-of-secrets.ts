import { startUpstream, tlsIdentity, type Upstream } from './tls-upstream.ts';

/** The value that the upstream wants to see. */
export const SECRET_VALUE = 'sk-of-the-demonstration';

/** A service on loopback that wants an API key, for the relay of the ring. */
export interface SecretUpstream extends AsyncDisposable {
  /** Origin and path of all that it serves. */
  readonly url: string;
  /** Its certificate, PEM: the authority that the trust section names. */
  readonly cert: string;
  /** How many requests came with the right value. */
  readonly served: number;
}

/** Starts the service. It never answers with what it was sent. */
export async function startSecretUpstream(): Promise<SecretUpstream> {
  const identity = tlsIdentity(['127.0.0.1']);
  let served = 0;
  const upstream: Upstream = await startUpstream((request, response) => {
    const isRight = request.headers.authorization === `Bearer ${SECRET_VALUE}`;
    if (isRight) served += 1;
    response.statusCode = isRight ? 200 : 401;
    response.end(isRight ? 'welcome' : 'no valid key');
  }, identity);
  return {
    url: `https://127.0.0.1:${upstream.port}/v1`,
    cert: identity.cert,
    get served() {
      return served;
    },
    [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
  };
}
