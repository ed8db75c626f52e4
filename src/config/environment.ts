import { ProblemError } from '../errors/latchkey-error.ts';
import { nearestName } from '../errors/nearest-name.ts';

const PREFIX = 'LATCHKEY_';

/** Values that the environment may override: none on which security depends, so none of `trust`. */
const paths = [
  'node.dataFolder',
  'node.expectedAccount',
  'listen.host',
  'listen.port',
  'metrics.host',
  'metrics.port',
  'agent.socketPath',
  'chain.endpoints',
  'chain.agreement',
  'collateral.endpoints',
  'collateral.cacheFolder',
  'limits.requestDeadlineMs',
  'limits.shutdownDeadlineMs',
  'limits.maxKeys',
  'healing.intervalMs',
  'healing.peerDeadlineMs',
  'log.level',
] as const;

/** Not settings: where tests find their vectors. */
const ignored = new Set(['LATCHKEY_VECTORS']);

/** `listen.port` → `LATCHKEY_LISTEN_PORT`. */
export const variableOf = (path: string): string =>
  PREFIX +
  path
    .replaceAll('.', '_')
    .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase();

const pathOf = new Map<string, string>(paths.map((path) => [variableOf(path), path]));

/** Every variable with the key that it overrides. */
export const environmentVariables: ReadonlyMap<string, string> = pathOf;

/**
 * Lays the environment over what the file says. Lists are comma-separated, numbers decimal.
 * @throws ProblemError CONFIG_INVALID for a LATCHKEY_ variable that does not exist, so that a typo is not ignored.
 */
export function applyEnvironment(
  raw: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): unknown {
  let result = raw;
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith(PREFIX) || ignored.has(variable)) continue;
    const path = pathOf.get(variable);
    if (path === undefined) {
      throw new ProblemError('CONFIG_INVALID', `environment: ${variable} is not a setting`, {
        field: variable,
        hint: hintFor(variable),
      });
    }
    result = setAt(result, path.split('.'), overrideOf(path, text));
  }
  return result;
}

function hintFor(variable: string): string {
  if (variable.startsWith(`${PREFIX}TRUST_`)) return 'the trust section cannot be changed by the environment';
  const nearest = nearestName(variable, [...pathOf.keys()]);
  const list = '`latchkey config environment` lists the variables';
  return nearest === undefined ? list : `did you mean ${nearest}? ${list}`;
}

/** Whether the value of a key is a number; a folder or host name of digits stays text. */
const isNumeric = (path: string): boolean => /\.(port|agreement|maxKeys|\w+Ms)$/.test(path);

function overrideOf(path: string, text: string): unknown {
  if (path.endsWith('endpoints')) return text.split(',').map((part) => part.trim());
  return isNumeric(path) && /^\d{1,15}$/.test(text) ? Number(text) : text;
}

function setAt(target: unknown, [head, ...rest]: readonly string[], value: unknown): unknown {
  if (head === undefined) return value;
  const object = target ?? {};
  // A list or a scalar instead of a section is wrong, and an override must not hide it.
  if (typeof object !== 'object' || Array.isArray(object)) return object;
  // What is left is a map of the YAML document.
  const child = (object as Record<string, unknown>)[head];
  return { ...object, [head]: setAt(child, rest, value) };
}
