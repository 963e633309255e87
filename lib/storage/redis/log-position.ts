/** A place in the log, as `read` and `append` give it away. */
export interface LogPosition {
  readonly log: string;
  /** Time and number of the entry, as in the stream. */
  readonly entry: string;
  readonly expiresAt: number;
  /** When everything that was in the log up to there has expired. */
  readonly logEndsAt: number;
}

const PATTERN = /^([A-Za-z0-9_-]{32}):(\d{1,16}-\d{1,16}):(\d{1,16}):(\d{1,16})$/;

export function formatPosition({ log, entry, expiresAt, logEndsAt }: LogPosition): string {
  return `${log}:${entry}:${expiresAt}:${logEndsAt}`;
}

/** `undefined` for what is no position of this kind of log. */
export function parsePosition(text: string): LogPosition | undefined {
  const [, log, entry, expiresAt, logEndsAt] = PATTERN.exec(text) ?? [];
  if (log === undefined || entry === undefined) return undefined;
  return { log, entry, expiresAt: Number(expiresAt), logEndsAt: Number(logEndsAt) };
}

const LOG_ID = /^[A-Za-z0-9_-]{32}$/;
const ENTRY_ID = /^\d{1,16}-\d{1,16}$/;

export function isLogId(text: string): boolean {
  return LOG_ID.test(text);
}

export function isEntryId(text: string): boolean {
  return ENTRY_ID.test(text);
}

/** The number of an entry in its log; they are counted from 1. */
export function numberOf(entry: string): number {
  return Number(entry.slice(entry.indexOf('-') + 1));
}
