/** Which collateral is wanted: Intel issues it per FMSPC, and one PCK CRL per CA. */
export interface PlatformKind {
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  readonly ca: 'platform' | 'processor';
}
