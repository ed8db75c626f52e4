import type { CollateralJson } from '../../mock-tdx/collateral/collateral-parts.ts';

/** What a PCCS that holds this set answers on a path; the set may be as broken as a test wants it. */
export function collateralRoute(set: CollateralJson, path: string): Response {
  const chain = (name: string, pem: string) => ({ headers: { [name]: encodeURIComponent(pem) } });
  switch (new URL(path, 'http://pccs').pathname) {
    case '/tdx/certification/v4/tcb':
      return new Response(
        `{"tcbInfo":${set.tcb_info},"signature":"${set.tcb_info_signature}"}`,
        chain('TCB-Info-Issuer-Chain', set.tcb_info_issuer_chain),
      );
    case '/tdx/certification/v4/qe/identity':
      return new Response(
        `{"enclaveIdentity":${set.qe_identity},"signature":"${set.qe_identity_signature}"}`,
        chain('SGX-Enclave-Identity-Issuer-Chain', set.qe_identity_issuer_chain),
      );
    case '/sgx/certification/v4/pckcrl':
      return new Response(set.pck_crl, chain('SGX-PCK-CRL-Issuer-Chain', set.pck_crl_issuer_chain));
    case '/sgx/certification/v4/rootcacrl':
      return new Response(set.root_ca_crl);
    default:
      return new Response(null, { status: 404 });
  }
}
