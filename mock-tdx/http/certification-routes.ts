import { type Context, Hono } from 'hono';
import { toHex, tryFromHex } from '../../src/bytes/hex.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { pem, pemChain } from '../pki/pem.ts';
import type { PckCaKind } from '../pki/platform.ts';
import type { CertificationService, ServiceRefusal } from './certification-service.ts';

/** Which service the routes imitate: Intel's own, or a caching service in a data centre. */
export type ServiceStyle = 'pcs' | 'pccs';

/** The PCS and PCCS API, version 4, as far as TDX verification needs it. */
export function certificationRoutes(service: CertificationService, style: ServiceStyle): Hono {
  const app = new Hono();
  app.get('/tdx/certification/v4/tcb', (context) => answerTcbInfo(context, service));
  app.get('/tdx/certification/v4/qe/identity', (context) => answerQeIdentity(context, service));
  app.get('/sgx/certification/v4/pckcrl', (context) => answerPckCrl(context, service, style));
  if (style === 'pccs') {
    app.get('/sgx/certification/v4/rootcacrl', (context) =>
      context.body(service.collateral('platform').root_ca_crl, 200, crlHeaders()),
    );
  } else {
    // Intel serves it from another host, under the URL of the root's CRL distribution point.
    app.get('/IntelSGXRootCA.der', (context) =>
      context.body(der(service.collateral('platform').root_ca_crl), 200, crlHeaders()),
    );
  }
  app.get('/sgx/certification/v4/pckcert', (context) => answerPckCertificate(context, service));
  app.get('/sgx/certification/v4/fmspcs', (context) =>
    context.json([{ fmspc: toHex(service.pki.fmspc).toUpperCase(), platform: 'E5' }], 200, requestId()),
  );
  for (const tee of ['sgx', 'tdx'] as const) {
    app.get(`/${tee}/certification/v4/tcbevaluationdatanumbers`, (context) => {
      const { body, issuerChain } = service.evaluationNumberList(tee === 'sgx' ? 'SGX' : 'TDX');
      return json(context, body, {
        'TCB-Evaluation-Data-Numbers-Issuer-Chain': encodeURIComponent(issuerChain),
      });
    });
  }
  return app;
}

function answerTcbInfo(context: Context, service: CertificationService): Response {
  const refused = service.refuseFmspc(context.req.query('fmspc'));
  if (refused !== undefined) return refuse(context, refused);
  const chosen = chosenNumber(context, service);
  if ('refusal' in chosen) return refuse(context, chosen.refusal);
  const set = service.collateral('platform', chosen.number);
  return json(context, `{"tcbInfo":${set.tcb_info},"signature":"${set.tcb_info_signature}"}`, {
    'TCB-Info-Issuer-Chain': encodeURIComponent(set.tcb_info_issuer_chain),
  });
}

function answerQeIdentity(context: Context, service: CertificationService): Response {
  const chosen = chosenNumber(context, service);
  if ('refusal' in chosen) return refuse(context, chosen.refusal);
  const set = service.collateral('platform', chosen.number);
  return json(context, `{"enclaveIdentity":${set.qe_identity},"signature":"${set.qe_identity_signature}"}`, {
    'SGX-Enclave-Identity-Issuer-Chain': encodeURIComponent(set.qe_identity_issuer_chain),
  });
}

const chosenNumber = (context: Context, service: CertificationService) =>
  service.evaluationNumber(context.req.query('update'), context.req.query('tcbEvaluationDataNumber'));

/** DER when asked for; otherwise PCS answers PEM, and PCCS the DER as hex text. */
function answerPckCrl(context: Context, service: CertificationService, style: ServiceStyle): Response {
  const ca = context.req.query('ca');
  if (ca !== 'platform' && ca !== 'processor') {
    return refuse(context, { status: 400, message: 'ca must be platform or processor' });
  }
  const set = service.collateral(ca);
  const headers = {
    ...crlHeaders(),
    'SGX-PCK-CRL-Issuer-Chain': encodeURIComponent(set.pck_crl_issuer_chain),
  };
  if (context.req.query('encoding') === 'der') return context.body(der(set.pck_crl), 200, headers);
  return style === 'pccs'
    ? context.body(set.pck_crl, 200, headers)
    : context.body(pem('X509 CRL', der(set.pck_crl)), 200, {
        ...headers,
        'content-type': 'application/x-pem-file',
      });
}

/**
 * The PCK certificate of a simulated platform. An encrypted PPID cannot be told apart here, so the last four bytes
 * of `qeid`, big-endian, choose the platform; without it, platform 0.
 */
function answerPckCertificate(context: Context, service: CertificationService): Response {
  const { encrypted_ppid, cpusvn, pcesvn, pceid, qeid } = context.req.query();
  const shapes: readonly (readonly [string, string | undefined, RegExp])[] = [
    ['encrypted_ppid', encrypted_ppid, /^[0-9a-fA-F]{768}$/],
    ['cpusvn', cpusvn, /^[0-9a-fA-F]{32}$/],
    ['pcesvn', pcesvn, /^[0-9a-fA-F]{4}$/],
    ['pceid', pceid, /^[0-9a-fA-F]{4}$/],
    ['qeid', qeid ?? '00', /^([0-9a-fA-F]{2}){1,260}$/],
  ];
  const wrong = shapes.find(([, value, shape]) => value === undefined || !shape.test(value));
  if (wrong !== undefined)
    return refuse(context, { status: 400, message: `${wrong[0]} has the wrong format` });
  const number = Number.parseInt((qeid ?? '0').slice(-8), 16);
  const kind: PckCaKind = 'platform';
  const { facts, pck, ca } = service.pki.platform(number, kind);
  const tcbm = Uint8Array.of(...facts.cpuSvn, facts.pceSvn & 0xff, facts.pceSvn >>> 8);
  return context.body(pem('CERTIFICATE', pck.certificate), 200, {
    ...requestId(),
    'content-type': 'application/x-pem-file',
    'SGX-PCK-Certificate-Issuer-Chain': encodeURIComponent(
      pemChain(ca.certificate, service.pki.authorities.root.certificate),
    ),
    'SGX-TCBm': toHex(tcbm).toUpperCase(),
    'SGX-FMSPC': toHex(facts.fmspc).toUpperCase(),
    'SGX-PCK-Certificate-CA-Type': kind,
  });
}

/** The document was signed as text: it must go out byte by byte as it is. */
const json = (context: Context, body: string, headers: Record<string, string>): Response =>
  context.body(body, 200, { ...requestId(), 'content-type': 'application/json', ...headers });

/** As Intel answers: no body, the reason in headers. */
const refuse = (context: Context, refusal: ServiceRefusal): Response =>
  context.body(null, refusal.status, { ...requestId(), 'Error-Message': refusal.message });

const crlHeaders = () => ({ ...requestId(), 'content-type': 'application/pkix-crl' });

const requestId = () => ({ 'Request-ID': toHex(systemRandom(16)) });

const der = (hex: string): Uint8Array<ArrayBuffer> => new Uint8Array(tryFromHex(hex) ?? []);
