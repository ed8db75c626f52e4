import crypto, { type KeyObject } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

/** The functions of `node:crypto` that are replaced; everything else stays the real one. */
const real = {
  createHmac: crypto.createHmac,
  createPrivateKey: crypto.createPrivateKey,
  createPublicKey: crypto.createPublicKey,
  diffieHellman: crypto.diffieHellman,
  generateKeyPairSync: crypto.generateKeyPairSync,
  sign: crypto.sign,
  verify: crypto.verify,
};

/** PKCS #8 prefix of an X25519 private key (RFC 8410 section 7). */
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const KEY_BYTES = 32;

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** SHA-256 over a label, the key with its length, and the parts: nobody without the key finds it. */
function keyed(label: string, key: Uint8Array, parts: readonly Uint8Array[]): Buffer {
  let total = label.length + 4 + key.length;
  for (const part of parts) total += part.length;
  const joined = Buffer.allocUnsafe(total);
  let offset = joined.write(label, 'latin1');
  offset = joined.writeUInt32BE(key.length, offset);
  joined.set(key, offset);
  offset += key.length;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return crypto.hash('sha256', joined, 'buffer');
}

/** In place of HMAC. */
class KeyedHash {
  readonly #key: Uint8Array;
  readonly #parts: Uint8Array[] = [];

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  update(part: Uint8Array): this {
    this.#parts.push(part);
    return this;
  }

  digest(): Buffer {
    return keyed('mac', this.#key, this.#parts);
  }
}

/** In place of an X25519 key: its public half is a hash of the secret one. */
class AgreementKey {
  readonly publicKey: Uint8Array;
  readonly secret: Uint8Array | undefined;

  constructor(publicKey: Uint8Array, secret?: Uint8Array) {
    this.publicKey = publicKey;
    this.secret = secret;
  }

  static ofSecret(secret: Uint8Array): AgreementKey {
    const key = new AgreementKey(keyed('x25519', secret, []), secret);
    agreementSecrets.set(base64url(key.publicKey), secret);
    return key;
  }

  export(): { readonly kty: string; readonly crv: string; readonly x: string; readonly d?: string } {
    const jwk = { kty: 'OKP', crv: 'X25519', x: base64url(this.publicKey) };
    return this.secret === undefined ? jwk : { ...jwk, d: base64url(this.secret) };
  }
}

/** In place of an imported public key that signs: which one it is. */
class SigningKey {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** The table of keys: secrets by their public halves. Those of agreements are of one life, those of signers of the process. */
const agreementSecrets = new Map<string, Uint8Array>();
const signingSecrets = new Map<string, Uint8Array>();
/** Names of real signing keys. */
const names = new WeakMap<object, string>();

interface Jwk {
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly d?: string;
}

const nameOf = ({ crv, x, y }: Jwk): string => `${crv} ${x} ${y ?? ''}`;

/** The parameters of an import as JWK; `undefined` for every other call. */
function jwkOf(input: unknown): Jwk | undefined {
  if (typeof input !== 'object' || input === null || !('format' in input) || input.format !== 'jwk')
    return undefined;
  // `key` of an import as JWK is an object of texts; the real import would refuse anything else.
  return 'key' in input ? (input.key as Jwk) : undefined;
}

function createPrivateKey(input: unknown): unknown {
  const jwk = jwkOf(input);
  if (jwk?.crv === 'X25519') return AgreementKey.ofSecret(Buffer.from(jwk.d ?? '', 'base64url'));
  const der = typeof input === 'object' && input !== null && 'key' in input ? input.key : undefined;
  if (der instanceof Uint8Array && der.length === X25519_PKCS8.length + KEY_BYTES) {
    const isAgreement = X25519_PKCS8.equals(der.subarray(0, X25519_PKCS8.length));
    // A copy: the caller wipes its own.
    if (isAgreement) return AgreementKey.ofSecret(new Uint8Array(der.subarray(X25519_PKCS8.length)));
  }
  return Reflect.apply(real.createPrivateKey, crypto, [input]);
}

function createPublicKey(input: unknown): unknown {
  if (input instanceof AgreementKey) return new AgreementKey(input.publicKey);
  const jwk = jwkOf(input);
  if (jwk === undefined) return Reflect.apply(real.createPublicKey, crypto, [input]);
  if (jwk.crv === 'X25519') return new AgreementKey(Buffer.from(jwk.x ?? '', 'base64url'));
  const name = nameOf(jwk);
  if (signingSecrets.has(name)) return new SigningKey(name);
  const key: object = Reflect.apply(real.createPublicKey, crypto, [input]);
  names.set(key, name);
  return key;
}

function generateKeyPairSync(...given: readonly unknown[]): unknown {
  const [type, options] = given;
  if (type !== 'x25519') return Reflect.apply(real.generateKeyPairSync, crypto, given);
  const key = AgreementKey.ofSecret(crypto.randomBytes(KEY_BYTES));
  const isExported = typeof options === 'object' && options !== null && 'privateKeyEncoding' in options;
  return {
    publicKey: new AgreementKey(key.publicKey).export(),
    privateKey: isExported ? key.export() : key,
  };
}

/** A secret that two keys of the table share; with a key that is not in it the real agreement, or its refusal. */
function diffieHellman(keys: { readonly privateKey: unknown; readonly publicKey: unknown }): Buffer {
  const { privateKey, publicKey } = keys;
  if (!(privateKey instanceof AgreementKey && publicKey instanceof AgreementKey))
    return Reflect.apply(real.diffieHellman, crypto, [keys]);
  const mine = privateKey.secret ?? new Uint8Array();
  const theirs = agreementSecrets.get(base64url(publicKey.publicKey));
  if (theirs === undefined) return realAgreement(mine, publicKey.publicKey);
  const halves = [Buffer.from(mine), Buffer.from(theirs)].sort(Buffer.compare);
  return keyed('agreement', Buffer.concat(halves), []);
}

function realAgreement(secret: Uint8Array, publicKey: Uint8Array): Buffer {
  const der = Buffer.concat([X25519_PKCS8, secret]);
  const jwk = { kty: 'OKP', crv: 'X25519', x: base64url(publicKey) };
  return real.diffieHellman({
    privateKey: real.createPrivateKey({ format: 'der', type: 'pkcs8', key: der }),
    publicKey: real.createPublicKey({ format: 'jwk', key: jwk }),
  });
}

/** A signature of 64 bytes that only the table of keys can make, over exactly this message. */
function standInSignature(name: string, secret: Uint8Array, message: Uint8Array): Buffer {
  const first = keyed(`signature ${name}`, secret, [message]);
  return Buffer.concat([first, keyed('signature, second half', secret, [first])]);
}

const keyObjectOf = (key: unknown): unknown =>
  typeof key === 'object' && key !== null && 'key' in key ? key.key : key;

function sign(...given: readonly unknown[]): Buffer {
  const [, message, key] = given;
  const signer = keyObjectOf(key);
  if (!(signer instanceof crypto.KeyObject && message instanceof Uint8Array))
    return Reflect.apply(real.sign, crypto, given);
  const name = names.get(signer) ?? register(signer);
  const secret = signingSecrets.get(name) ?? new Uint8Array();
  return standInSignature(name, secret, message);
}

/** Puts a key into the table when it signs for the first time. */
function register(signer: KeyObject): string {
  const jwk = signer.export({ format: 'jwk' });
  const name = nameOf(jwk);
  names.set(signer, name);
  signingSecrets.set(name, Buffer.from(jwk.d ?? '', 'base64url'));
  return name;
}

/** A key of the table accepts its own stand-in signatures only; every other key is verified as always. */
function verify(...given: readonly unknown[]): boolean {
  const [, message, key, signature] = given;
  const verifier = keyObjectOf(key);
  const name =
    verifier instanceof SigningKey
      ? verifier.name
      : typeof verifier === 'object' && verifier !== null
        ? names.get(verifier)
        : undefined;
  const secret = name === undefined ? undefined : signingSecrets.get(name);
  if (name === undefined || secret === undefined) return Reflect.apply(real.verify, crypto, given);
  if (!(message instanceof Uint8Array && signature instanceof Uint8Array)) return false;
  return standInSignature(name, secret, message).equals(signature);
}

const standIns = {
  createHmac: (_algorithm: string, key: Uint8Array) => new KeyedHash(key),
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  sign,
  verify,
};

/**
 * Runs work with stand-ins for HMAC-SHA-256, X25519, and signatures by ECDSA on P-256 and by Ed25519: keyed hashes, and a
 * table of keys in place of the curves. They are put where the code of the project takes cryptography from, in
 * `node:crypto`, so every check of the protocol runs as always, over the same bytes. Keys that are not in the table, such
 * as those of certificates, are real. Never two pieces of work at once: the stand-ins hold for the whole process.
 */
export async function withStandInCrypto<Result>(work: () => Promise<Result>): Promise<Result> {
  Object.assign(crypto, standIns);
  syncBuiltinESMExports();
  try {
    return await work();
  } finally {
    agreementSecrets.clear();
    Object.assign(crypto, real);
    syncBuiltinESMExports();
  }
}
