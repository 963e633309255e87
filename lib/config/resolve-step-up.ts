import type { SecondFactor } from '../step-up/second-factor.js';
import type { StepUpConfig } from '../step-up/step-up.service.js';
import { NotCarried, type Storage } from '../storage/storage.js';
import type { OptionReader } from './option-reader.js';
import { MINUTE, SECOND } from './units.js';

/** What decides how long a confirmation may last, in milliseconds, and where its use is remembered. */
export interface StepUpContext {
  readonly issuer: string;
  readonly maxLifetime: number;
  readonly leeway: number;
  readonly storage: Pick<Storage, 'name' | 'replayStore' | 'attemptStore'>;
}

/** The options of step-up. All problems are noted. */
export function readStepUp(
  reader: OptionReader,
  { issuer, maxLifetime, leeway, storage }: StepUpContext,
): StepUpConfig {
  reader.expectOnly('stepUp', ['confirmationFor', 'secondFactor']);
  const missing = [storage.replayStore, storage.attemptStore].find(
    (port) => port instanceof NotCarried,
  );
  if (reader.get('stepUp') !== undefined && missing instanceof NotCarried) {
    reader.add(
      'stepUp',
      `${storage.name} cannot carry it: ${missing.reason}`,
      'Write redisStorage(…), or leave stepUp out',
    );
  }
  const longest = Math.min(10 * MINUTE, maxLifetime);
  const confirmationFor = reader.duration('stepUp.confirmationFor', Math.min(2 * MINUTE, longest), {
    min: Math.min(10 * SECOND, longest),
    max: longest,
    step: SECOND,
  });
  return Object.freeze({
    issuer,
    leeway: leeway / SECOND,
    confirmationFor: confirmationFor / SECOND,
    secondFactor: readSecondFactor(reader),
  });
}

function readSecondFactor(reader: OptionReader): SecondFactor | null {
  const path = 'stepUp.secondFactor';
  const value = reader.get(path);
  if (value === undefined) return null;
  if (isSecondFactor(value)) return value;
  reader.refuse(path, 'Write a SecondFactor, with a method verify');
  return null;
}

/** What it answers is doubted where it is asked. */
function isSecondFactor(value: unknown): value is SecondFactor {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as Partial<SecondFactor>).verify === 'function';
}
