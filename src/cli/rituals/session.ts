import type { Command } from 'commander';
import { Datastore } from '../../rituals/datastore.ts';
import { readRitualsConfigFile } from './config-file.ts';
import { withStore } from '../store/session.ts';

/** The option that all ritual commands share. */
export interface ConfigOption {
  readonly config: string;
}

/** Starts a command that needs the configuration file. */
export const configured = (parent: Command, usage: string, description: string): Command =>
  parent.command(usage).description(description).requiredOption('--config <file>', 'configuration file');

/** Runs a task on the datastore that the configuration names, and closes its store. */
export async function withDatastore<T>(
  { config }: ConfigOption,
  task: (datastore: Datastore) => Promise<T>,
): Promise<T> {
  const { store } = (await readRitualsConfigFile(config)).config;
  return withStore(store, async (opened) => task(await Datastore.initialize(opened)));
}
