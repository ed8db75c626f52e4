import { toHex } from '../bytes/hex.ts';
import { boundedFetch, type Fetch } from '../outbound/bounded-fetch.ts';
import type { PlatformHeaders, PlatformSignal } from '../outbound/platform-types.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../tdx/collateral.ts';
import { crlAsHex } from './crl-encoding.ts';
import type { PlatformKind } from './platform-kind.ts';
import { rawMembers } from './raw-members.ts';

/** Intel's Provisioning Certification Service. */
export const INTEL_PCS_URL = 'https://api.trustedservices.intel.com';
/** The CRL distribution point of Intel's root certificate; PCS itself does not serve the root's CRL. */
const INTEL_ROOT_CRL_URL = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der';

/**
 * Which TCB evaluation to ask for: `early` from the day on which Intel publishes fixes, `standard` about 12 months later,
 * or a given TCB evaluation data number.
 */
export type TcbUpdate = 'early' | 'standard' | number;

/** As part of a query, or of a file's name. */
export const updateQuery = (update: TcbUpdate): string =>
  typeof update === 'number' ? `tcbEvaluationDataNumber=${update}` : `update=${update}`;

/** How the services are asked. */
export interface ServiceClientOptions {
  readonly fetch: Fetch;
  /** For each document. */
  readonly timeoutMs: number;
  readonly update: TcbUpdate;
  readonly signal?: PlatformSignal;
}

/** Largest answers; Intel's are at most 20 kB, CRLs grow with what is revoked. */
const MAX_JSON_BYTES = 400_000;
const MAX_CRL_BYTES = 2_200_000;

interface Answer {
  readonly status: number;
  readonly headers: PlatformHeaders;
  readonly body: Uint8Array;
}

/** An answer that cannot be used, in words; the endpoint's own problem and not ours. */
export class ServiceFailure extends Error {
  override readonly name = 'ServiceFailure';
}

/**
 * Client of one PCS or PCCS, API version 4. Nothing that it returns is verified. A document that several sets share is
 * asked for once at a time.
 */
export class ServiceClient {
  /** Base address, without path and slash at the end. */
  readonly url: string;
  readonly #options: ServiceClientOptions;
  readonly #inFlight = new Map<string, Promise<unknown>>();

  /**
   * @param url such as `https://api.trustedservices.intel.com` or `https://pccs:8081`; the path `/sgx/certification/v4`,
   *   with which PCCS addresses are often written down, is dropped.
   * @throws TypeError unless it is an http(s) address.
   */
  constructor(url: string, options: ServiceClientOptions) {
    const parsed = new URL(url);
    if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') {
      throw new TypeError(`${url} must be an http or https address`);
    }
    this.url = url.replace(/\/+$/, '').replace(/\/(sgx|tdx)\/certification\/v4$/, '');
    this.#options = options;
  }

  /**
   * Fetches the four documents and their issuer chains.
   * @throws ServiceFailure; EvidenceError COLLATERAL_MALFORMED when a document is larger than any genuine one.
   */
  async fetchSet(platform: PlatformKind): Promise<CollateralDocuments> {
    const { update } = this.#options;
    const fmspc = toHex(platform.fmspc).toUpperCase();
    const [tcbInfo, qeIdentity, pckCrl, rootCaCrl] = await Promise.all([
      this.#once(`tcb ${fmspc}`, () =>
        this.#signedJson(`/tdx/certification/v4/tcb?fmspc=${fmspc}&${updateQuery(update)}`, 'tcbInfo', [
          'TCB-Info-Issuer-Chain',
          'SGX-TCB-Info-Issuer-Chain',
        ]),
      ),
      this.#once('qe', () =>
        this.#signedJson(`/tdx/certification/v4/qe/identity?${updateQuery(update)}`, 'enclaveIdentity', [
          'SGX-Enclave-Identity-Issuer-Chain',
        ]),
      ),
      this.#once(`pckcrl ${platform.ca}`, () => this.#pckCrl(platform.ca)),
      this.#once('rootcacrl', () => this.#rootCaCrl()),
    ]);
    return parseCollateralDocuments({
      tcb_info_issuer_chain: tcbInfo.chain,
      tcb_info: tcbInfo.content,
      tcb_info_signature: tcbInfo.signature,
      qe_identity_issuer_chain: qeIdentity.chain,
      qe_identity: qeIdentity.content,
      qe_identity_signature: qeIdentity.signature,
      pck_crl_issuer_chain: pckCrl.chain,
      pck_crl: pckCrl.crl,
      root_ca_crl: rootCaCrl,
    });
  }

  async #signedJson(path: string, member: string, headerNames: readonly string[]) {
    const answer = await this.#get(`${this.url}${path}`, MAX_JSON_BYTES);
    requireOk(answer, path);
    const members = rawMembers(new TextDecoder().decode(answer.body));
    const content = members?.get(member);
    const signature = /^"([0-9a-fA-F]{128})"$/.exec(members?.get('signature') ?? '')?.[1];
    if (content === undefined || signature === undefined) {
      throw new ServiceFailure(`${path}: not a JSON object with ${member} and signature`);
    }
    return { content, signature, chain: chainOf(answer.headers, headerNames, path) };
  }

  async #pckCrl(ca: PlatformKind['ca']) {
    const path = `/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`;
    const answer = await this.#get(`${this.url}${path}`, MAX_CRL_BYTES);
    requireOk(answer, path);
    return { crl: crlOf(answer, path), chain: chainOf(answer.headers, ['SGX-PCK-CRL-Issuer-Chain'], path) };
  }

  /** Intel's service has it under another host; a PCCS under a path of its own, or like Intel's under the DER's name. */
  async #rootCaCrl(): Promise<string> {
    const places =
      this.url === INTEL_PCS_URL
        ? [INTEL_ROOT_CRL_URL]
        : [`${this.url}/sgx/certification/v4/rootcacrl`, `${this.url}/IntelSGXRootCA.der`];
    for (const [index, url] of places.entries()) {
      const answer = await this.#get(url, MAX_CRL_BYTES);
      if (answer.status === 404 && index + 1 < places.length) continue;
      requireOk(answer, url);
      return crlOf(answer, url);
    }
    throw new ServiceFailure('the root CA CRL is at none of its places');
  }

  async #get(url: string, maxBytes: number): Promise<Answer> {
    const { fetch: fetchLike, timeoutMs, signal } = this.#options;
    const answer = await boundedFetch(fetchLike, {
      url,
      method: 'GET',
      timeoutMs,
      maxBytes,
      ...(signal === undefined ? {} : { signal }),
    });
    if (!answer.ok) throw new ServiceFailure(`${new URL(url).pathname}: ${answer.reason}`);
    return answer;
  }

  /** One request in flight per document. */
  async #once<Result>(document: string, run: () => Promise<Result>): Promise<Result> {
    const running = this.#inFlight.get(document);
    // Under one name there is always the same kind of result.
    if (running !== undefined) return running as Promise<Result>;
    const started = run().finally(() => this.#inFlight.delete(document));
    this.#inFlight.set(document, started);
    return started;
  }
}

function requireOk(answer: Answer, place: string): void {
  if (answer.status === 200) return;
  const said = answer.headers.get('error-message') ?? new TextDecoder().decode(answer.body).trim();
  throw new ServiceFailure(
    `${place}: status ${answer.status}${said === '' ? '' : ` (${said.slice(0, 120)})`}`,
  );
}

/** Header values are URL-encoded PEM, signer first. */
function chainOf(headers: Headers, names: readonly string[], place: string): string {
  const value = names.map((name) => headers.get(name)).find((found) => found !== null);
  if (value === undefined || value === null) throw new ServiceFailure(`${place}: no header ${names[0]}`);
  try {
    return decodeURIComponent(value);
  } catch {
    throw new ServiceFailure(`${place}: header ${names[0]} is not URL-encoded`);
  }
}

function crlOf(answer: Answer, place: string): string {
  const crl = crlAsHex(answer.body);
  if (crl === undefined) throw new ServiceFailure(`${place}: neither DER nor PEM nor hex of a CRL`);
  return crl;
}
