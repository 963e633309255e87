import { Logger, type LoggerService } from '@nestjs/common';

import { recordOutput } from './witness.js';

/** Takes what in-process applications log to the witness instead of the terminal. */
export const witnessLogger: LoggerService = {
  log: take,
  error: take,
  warn: take,
  debug: take,
  verbose: take,
  fatal: take,
};

function take(...message: unknown[]): void {
  recordOutput(message.map(String).join(' '));
}

Logger.overrideLogger(witnessLogger);
