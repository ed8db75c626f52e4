// What must not compile. `npm run types` compiles this folder; nothing runs it.
import type { Grant } from '../../src/keyserver/grant.ts';
import { grantKey } from '../../src/keyserver/grant.ts';
import { BoundRequest } from '../../src/keyserver/handshake.ts';
import type { Judge } from '../../src/keyserver/judge.ts';
import { JudgedRequest } from '../../src/keyserver/judge.ts';
import type { KeyServer } from '../../src/keyserver/key-server.ts';
import type { SealedKey } from '../../src/keyserver/seal.ts';
import { sealGrant } from '../../src/keyserver/seal.ts';
import type { Vault } from '../../src/keyserver/vault.ts';
import type { VerifiedRequest } from '../../src/keyserver/verify.ts';

declare const bound: BoundRequest;
declare const otherBound: BoundRequest;
declare const verified: VerifiedRequest;
declare const judged: JudgedRequest;
declare const grant: Grant;
declare const sealed: SealedKey;
declare const judge: Judge;
declare const vault: Vault;
declare const keyServer: KeyServer;
declare const view: Parameters<typeof sealGrant>[2];

/** A proof with one part exchanged is no proof. */
export function spreads(): void {
  // @ts-expect-error
  grantKey({ ...judged, bound: otherBound }, vault, 0);
  // @ts-expect-error
  judge.judge({ ...verified, bound: otherBound }, vault);
  // @ts-expect-error
  sealGrant({ ...grant, bound: otherBound }, keyServer.identity, view);
  // @ts-expect-error
  const respelled: BoundRequest = { ...bound, slotId: otherBound.slotId };
  // @ts-expect-error
  const resealed: SealedKey = { ...sealed, enc: new Uint8Array(32) };
  void [respelled, resealed];
}

/** An object with the fields of a proof is no proof. */
export function literals(): void {
  // @ts-expect-error
  grantKey({ bound, provenance: judged.provenance, platforms: judged.platforms }, vault, 0);
  // @ts-expect-error
  judge.judge({ bound, verified: verified.verified }, vault);
}

/** The keys of the makers are not exported. */
export function constructors(): void {
  // @ts-expect-error
  new BoundRequest(Symbol('bindRequest'), bound);
  // @ts-expect-error
  new JudgedRequest(Symbol('Judge'), bound, judged.provenance, judged.platforms);
}

/** No way to a key leads past the judge. */
export function shortcuts(): void {
  // @ts-expect-error
  vault.getOrCreatePlain(bound.request.account, judged.provenance, 0);
  // @ts-expect-error
  vault.create(bound, 0);
  // @ts-expect-error
  keyServer.vault.getOrCreatePlain(judged, 0);
  // @ts-expect-error
  keyServer.vault.wipe();
  // @ts-expect-error
  keyServer.vault.isDraining = true;
  // @ts-expect-error
  keyServer.vault.find(bound.request.account, bound.slotId, 0)?.key;
  // @ts-expect-error
  for (const { recoveryToken } of keyServer.vault.keys()) void recoveryToken;
}
