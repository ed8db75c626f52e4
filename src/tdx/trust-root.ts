import { type Certificate, parseCertificate } from '../der/certificate.ts';
import { readPemChain } from '../der/pem.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { requireRole, requireSignedBy } from './certificate-checks.ts';

/** Intel SGX Root CA, as published at https://certificates.trustedservices.intel.com; valid until 2049. */
const INTEL_SGX_ROOT_CA = `-----BEGIN CERTIFICATE-----
MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIw
aDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENv
cnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJ
BgNVBAYTAlVTMB4XDTE4MDUyMTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgG
A1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0
aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYT
AlVTMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDIYZOj/iPWsCzaEKi7
1OiOSLRFhWGjbnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxFP2sJBK5zlKOB
uzCBuDAfBgNVHSMEGDAWgBQiZQzWWp00ifODtJVSv1AbOScGrDBSBgNVHR8ESzBJ
MEegRaBDhkFodHRwczovL2NlcnRpZmljYXRlcy50cnVzdGVkc2VydmljZXMuaW50
ZWwuY29tL0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInzg7SV
Ur9QGzknBqwwDgYDVR0PAQH/BAQDAgEGMBIGA1UdEwEB/wQIMAYBAf8CAQEwCgYI
KoZIzj0EAwIDSQAwRgIhAOW/5QkR+S9CiSDcNoowLuPRLsWGf/Yi7GSX94BgwTwg
AiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZUGOdRQ7cvqRXaqI=
-----END CERTIFICATE-----
`;

const constructorKey = Symbol('TrustRoot');

/** The certificate at which every chain must end. In production it is always {@link TrustRoot.intel}. */
export class TrustRoot {
  static #intel: TrustRoot | undefined;
  readonly certificate: Certificate;
  /** False for every injected root; say so wherever such a verifier runs. */
  readonly isIntel: boolean;

  constructor(key: typeof constructorKey, certificate: Certificate, isIntel: boolean) {
    if (key !== constructorKey) throw new TypeError('use TrustRoot.intel or insecureTrustRoot()');
    this.certificate = certificate;
    this.isIntel = isIntel;
    Object.freeze(this);
  }

  /** The Intel SGX Root CA, pinned in the source. */
  static get intel(): TrustRoot {
    TrustRoot.#intel ??= new TrustRoot(constructorKey, readRoot(INTEL_SGX_ROOT_CA), true);
    return TrustRoot.#intel;
  }
}

/**
 * Trusts another root than Intel's: for development PKIs and tests only. The owner of that root's key can forge every
 * quote. There is no environment variable and no configuration field for it, on purpose.
 * @throws ProblemError TRUST_ROOT_INVALID unless it is one self-signed CA certificate named Intel SGX Root CA.
 */
export function insecureTrustRoot(pemOrDer: string | Uint8Array): TrustRoot {
  return new TrustRoot(constructorKey, readRoot(pemOrDer), false);
}

function readRoot(pemOrDer: string | Uint8Array): Certificate {
  try {
    const [der, second] =
      typeof pemOrDer === 'string' ? readPemChain(pemOrDer, 'trust root', 2) : [new Uint8Array(pemOrDer)];
    if (der === undefined || second !== undefined) throw new RangeError('not exactly one certificate');
    const certificate = parseCertificate(der, 'trust root');
    requireRole(certificate, 'root');
    requireSignedBy(certificate, certificate);
    return certificate;
  } catch (cause) {
    const observed = `${cause}`;
    throw new ProblemError('TRUST_ROOT_INVALID', `the trust root is unusable: ${observed}`, {
      field: 'trust root',
      expected: 'one self-signed CA certificate, PEM or DER',
      observed,
      cause,
    });
  }
}
