/** A whole number and a unit. A bare number is not a duration: seconds and milliseconds look alike. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const PATTERN = /^(\d{1,12})(ms|s|m|h|d)$/;

/** The duration in milliseconds, or `undefined` when the text is not a duration. */
export function durationToMs(text: unknown): number | undefined {
  const match = typeof text === 'string' ? PATTERN.exec(text) : null;
  if (match === null) return undefined;
  const ms = Number(match[1]) * MILLISECONDS[match[2] as keyof typeof MILLISECONDS];
  return ms <= Number.MAX_SAFE_INTEGER ? ms : undefined;
}

/** The shortest exact spelling, for messages. */
export function formatDuration(ms: number): Duration {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms !== 0 && ms % MILLISECONDS[unit] === 0) return `${ms / MILLISECONDS[unit]}${unit}`;
  }
  return `${ms}ms`;
}
