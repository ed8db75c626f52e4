import type { Command } from 'commander';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { RitualConditions } from '../../rituals/conditions.ts';
import { Datastore } from '../../rituals/datastore.ts';
import { eventTarget, type RitualEventTarget } from '../../rituals/ritual-events.ts';
import { withStore } from '../store/session.ts';
import { agentTarget } from './agent-target.ts';
import { readRitualsConfigFile } from './config-file.ts';

/** The option that all ritual commands share. */
export interface ConfigOption {
  readonly config: string;
}

/** Starts a command that needs the configuration file. */
export const configured = (parent: Command, usage: string, description: string): Command =>
  parent.command(usage).description(description).requiredOption('--config <file>', 'configuration file');

/**
 * Runs a task on the datastore that the configuration names, and closes its store. The conditions of the rituals guard
 * each operation, as they do in the agent.
 */
export async function withDatastore<T>(
  { config: file }: ConfigOption,
  task: (datastore: Datastore, conditions: RitualConditions) => Promise<T>,
): Promise<T> {
  const { config } = await readRitualsConfigFile(file);
  return withStore(config.store, async (store) => {
    const conditions = await RitualConditions.open(store);
    const authorize = conditions.guard(() => Math.floor(Date.now() / 1000), {
      requireConditions: config.conditions.required,
    });
    return task(await Datastore.initialize(store, { authorize }), conditions);
  });
}

/** Options of the commands that work on a store of their own, or on that of a running node. */
export interface PlaceChoice {
  readonly config?: string;
  /** Path of the agent's socket. */
  readonly agent?: string;
}

/** Starts a command that takes {@link PlaceChoice}. */
export const configuredOrAgent = (parent: Command, usage: string, description: string): Command =>
  parent
    .command(usage)
    .description(description)
    .option('--config <file>', 'configuration file of a store of your own')
    .option('--agent <socket>', "socket of a running node's agent: the rituals of its store");

/**
 * Runs a task on the fragments that the options name.
 * @throws EvidenceError FIELD_INVALID unless there is one of the two.
 */
export async function withFragments(
  { config, agent }: PlaceChoice,
  task: (target: RitualEventTarget) => Promise<void>,
): Promise<void> {
  if (config !== undefined && agent === undefined)
    return withDatastore({ config }, (datastore) => task(eventTarget(datastore)));
  if (config === undefined && agent !== undefined) return task(agentTarget(agent));
  throw new EvidenceError('FIELD_INVALID', 'give either --config FILE or --agent SOCKET', {
    field: 'config',
  });
}

/** An argument that is an integer from 0 to 2^53 - 1. @throws EvidenceError FIELD_INVALID. */
export function integerArgument(text: string, field: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new EvidenceError('FIELD_INVALID', `${field} must be an integer from 0 to 2^53 - 1`, { field });
}

/** An argument that is `true` or `false`. @throws EvidenceError FIELD_INVALID. */
export function booleanArgument(text: string, field: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new EvidenceError('FIELD_INVALID', `${field} must be true or false, got ${JSON.stringify(text)}`, {
    field,
  });
}
