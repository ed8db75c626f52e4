import { tryFromBase64 } from '../../src/bytes/base64.ts';
import { AccountId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { tryFromHex } from '../../src/bytes/hex.ts';
import type { DevelopmentControls, RegisterServer } from './controls.ts';
import type { Rotation } from './grandpa/rotation.ts';
import { parseLie } from './lies/lies.ts';
import { invalidParams, type RpcMethods, textParam, textsParam } from './rpc.ts';
import type { RuntimeShape } from './runtime.ts';

const shapes: readonly RuntimeShape[] = ['entropy-500', 'entropy-400', 'entropy-300', 'reordered'];

/** Parameters by name, the only positional parameter of the methods with several values. */
function namedParams(params: readonly unknown[], known: readonly string[]): Record<string, unknown> {
  const value = params[0] ?? {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidParams('one object expected');
  }
  const unknown = Object.keys(value).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw invalidParams(`unknown field ${unknown.join(', ')}`);
  // Just checked: an object that is no array.
  return value as Record<string, unknown>;
}

function named(values: Record<string, unknown>, name: string): string {
  return textParam([values[name]], 0, name);
}

function flag(values: Record<string, unknown>, name: string): boolean | undefined {
  const value = values[name];
  if (value !== undefined && typeof value !== 'boolean') throw invalidParams(`${name} must be true or false`);
  return value;
}

function blob(text: string, name: string): Uint8Array {
  const bytes = text.startsWith('0x') ? tryFromHex(text) : tryFromBase64(text);
  if (bytes === undefined) throw invalidParams(`${name} must be 0x hex or canonical base64`);
  return bytes;
}

function registration(params: readonly unknown[]): RegisterServer {
  const fields = ['stash', 'account', 'x25519PublicKey', 'endpoint', 'quote', 'active', 'signer'];
  const values = namedParams(params, fields);
  const active = flag(values, 'active');
  const signer = flag(values, 'signer');
  return {
    stash: AccountId.parse(named(values, 'stash'), 'stash'),
    account: AccountId.parse(named(values, 'account'), 'account'),
    x25519PublicKey: X25519PublicKey.parse(named(values, 'x25519PublicKey'), 'x25519PublicKey'),
    endpoint: named(values, 'endpoint'),
    quote: blob(named(values, 'quote'), 'quote'),
    ...(active === undefined ? {} : { active }),
    ...(signer === undefined ? {} : { signer }),
  };
}

function integer(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw invalidParams(`${name} must be an integer`);
  return value;
}

function shapeParam(value: unknown): RuntimeShape {
  const shape = shapes.find((known) => known === value);
  if (shape === undefined) throw invalidParams(`shape must be one of ${shapes.join(', ')}`);
  return shape;
}

/** `[count?, {delay?, forced?}?]`. */
function rotation([count, ...more]: readonly unknown[]): Rotation {
  const values = namedParams(more, ['delay', 'forced']);
  const forced = flag(values, 'forced');
  const delay = values['delay'];
  return {
    ...(count === undefined || count === null ? {} : { count: integer(count, 'count') }),
    ...(delay === undefined ? {} : { delay: integer(delay, 'delay') }),
    ...(forced === undefined ? {} : { forced }),
  };
}

/** `[lies, 'chain' or 'connection']`. */
function scopeParam(scope: unknown): 'chain' | 'connection' {
  if (scope === undefined || scope === null || scope === 'chain') return 'chain';
  if (scope === 'connection') return 'connection';
  throw invalidParams('scope must be chain or connection');
}

const rawItem = (item: unknown): [string, string | null] => {
  if (!Array.isArray(item)) throw invalidParams('items are [key, value or null]');
  return [textParam(item, 0, 'key'), item[1] === null ? null : textParam(item, 1, 'value')];
};

/** The development RPCs: what an operator would register by extrinsics, and switches for faults. */
export function developmentMethods(chain: DevelopmentControls): RpcMethods {
  return {
    dev_registerServer: (params) => ({ block: chain.registerServer(registration(params)) }),
    dev_removeServer: (params) => {
      const { stash } = namedParams(params, ['stash']);
      return { block: chain.removeServer(AccountId.parse(textParam([stash], 0, 'stash'), 'stash')) };
    },
    dev_setActive: (params) => {
      const values = namedParams(params, ['stash', 'active']);
      const stash = AccountId.parse(named(values, 'stash'), 'stash');
      return { block: chain.setActive(stash, flag(values, 'active') ?? true) };
    },
    dev_setSigners: (params) => ({
      block: chain.setSigners(textsParam(params, 0, 'stashes').map((text) => AccountId.parse(text, 'stash'))),
    }),
    dev_setAcceptedMeasurements: (params) => ({
      block: chain.setAcceptedMeasurements(
        textsParam(params, 0, 'measurements').map((text) => blob(text, 'measurement')),
      ),
    }),
    dev_setStorage: ([items]) => {
      if (!Array.isArray(items)) throw invalidParams('a list of [key, value or null]');
      return { block: chain.setStorage(items.map(rawItem)) };
    },
    dev_upgradeRuntime: (params) => {
      const values = namedParams(params, ['shape', 'specVersion']);
      const specVersion = values['specVersion'];
      return {
        block: chain.upgradeRuntime(
          shapeParam(values['shape'] ?? 'entropy-500'),
          specVersion === undefined ? undefined : integer(specVersion, 'specVersion'),
        ),
      };
    },
    dev_rotateAuthorities: (params) => ({ block: chain.rotateAuthorities(rotation(params)) }),
    dev_checkpoint: () => chain.checkpoint(),
    dev_tamper: (params, client) => {
      const lies = textsParam(params, 0, 'lies').map(parseLie);
      if (scopeParam(params[1]) === 'chain') chain.tell(...lies);
      else client.lies.tell(lies);
      return { lies: client.lies.told() };
    },
    dev_newBlock: ([count]) => chain.newBlocks(count === undefined ? 1 : integer(count, 'count')),
    dev_reorganize: ([depth]) => chain.reorganize(integer(depth, 'depth')),
    dev_dropConnections: () => {
      // After the answer has been sent; the caller's own connection goes too.
      setImmediate(() => chain.dropConnections());
    },
    // For a while only: a silent chain would not hear that it may speak again.
    dev_goSilent: ([ms]) => {
      const silentMs = integer(ms, 'milliseconds');
      // After the answer to this request has been sent.
      setImmediate(() => chain.setSilent(true));
      setTimeout(() => chain.setSilent(false), silentMs).unref();
    },
  };
}
