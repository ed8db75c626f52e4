import type { Command } from 'commander';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { RitualConditions } from '../../rituals/conditions.ts';
import { Datastore } from '../../rituals/datastore.ts';
import { withStore } from '../store/session.ts';
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
