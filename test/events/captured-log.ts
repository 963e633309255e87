import { Logger, type LoggerService } from '@nestjs/common';

import { recordOutput } from '../support/witness.js';

/** One call of the Nest logger. */
export interface LogLine {
  readonly level: 'log' | 'error' | 'warn' | 'debug' | 'verbose' | 'fatal';
  readonly context: string;
  readonly text: string;
}

/** Collects what Nest's logger is told from now on, and tells the witness as before. */
export function captureLog(): readonly LogLine[] {
  const lines: LogLine[] = [];
  const take =
    (level: LogLine['level']) =>
    (...message: unknown[]): void => {
      recordOutput(message.map(String).join(' '));
      lines.push({ level, text: String(message[0]), context: String(message.at(-1)) });
    };
  const logger: LoggerService = {
    log: take('log'),
    error: take('error'),
    warn: take('warn'),
    debug: take('debug'),
    verbose: take('verbose'),
    fatal: take('fatal'),
  };
  Logger.overrideLogger(logger);
  return lines;
}

/** From now on the logger of the application throws, as one does that lost its disk. */
export function breakLog(): void {
  const fail = (): never => {
    throw new Error('no space left on device');
  };
  Logger.overrideLogger({ log: fail, error: fail, warn: fail, debug: fail });
}
