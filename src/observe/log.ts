import { pino } from 'pino';

/** Severity of an event. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Fields of an event: plain JSON values, with bytes encoded as text by the caller; never a secret. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Receives the events of a node. Event names are stable, dotted words (`key.released`, `store.opened`), on which
 * operators can match; docs/operations.md lists them.
 */
export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** Drops everything; for tests and libraries. */
export const silentLog: Log = () => undefined;

/** A log with a level that can be changed while it is used. */
export interface AdjustableLog {
  readonly log: Log;
  setLevel(level: LogLevel | 'silent'): void;
}

/** JSON lines on standard output by pino. */
export const jsonLog = (level: LogLevel | 'silent', destination?: NodeJS.WritableStream): Log =>
  adjustableLog(level, destination).log;

/** As {@link jsonLog}, with a level that can be changed. */
export function adjustableLog(
  level: LogLevel | 'silent',
  destination: NodeJS.WritableStream = process.stdout,
): AdjustableLog {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'event',
      formatters: { level: (label) => ({ level: label }) },
      // A second net only: secrets are SecretBytes, which print as [secret] wherever they get.
      redact: {
        paths: ['key', '*.key', 'recoveryToken', '*.recoveryToken', 'storeKey', '*.storeKey'],
        censor: '[secret]',
      },
    },
    destination,
  );
  return {
    log: (severity, event, fields = {}) => logger[severity](fields, event),
    setLevel: (changed) => {
      logger.level = changed;
    },
  };
}
