import type { SecurityEvents } from '../events/security-events.js';
import type { Clock } from '../kernel/clock.js';
import { StoreError } from '../kernel/errors.js';
import type { SessionInfo } from './session.js';
import { readLabel, type SessionLabel } from './session-grant.js';
import type { SessionRecord } from './session-store.js';

/**
 * Sessions as their owner may see them, from what is kept of them, the one used last first. One that
 * cannot be read hides no other, and is not hidden itself: it is listed without its label, so that its
 * owner can end it, and reported. Nothing is ended by looking: a newer version may be able to read it.
 */
export function describeSessions(
  records: readonly SessionRecord[],
  { clock, events }: { readonly clock: Clock; readonly events: SecurityEvents },
): readonly SessionInfo[] {
  const byUse = records.toSorted((a, b) => b.lastUsedAt - a.lastUsedAt);
  return byUse.map((record) => {
    const label = labelOf(record);
    if (label === undefined) {
      const at = new Date(clock.now());
      events.emit({ type: 'session.unreadable', at, sessionId: record.key.id });
    }
    return describe(record, label);
  });
}

function labelOf(record: SessionRecord): SessionLabel | undefined {
  try {
    return readLabel(record);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT') return undefined;
    throw error;
  }
}

function describe(record: SessionRecord, label: SessionLabel | undefined): SessionInfo {
  const { key, createdAt, lastUsedAt, idleFor, absoluteExpiresAt } = record;
  return Object.freeze({
    sessionId: key.id,
    device: label?.device,
    createdAt: new Date(createdAt),
    lastUsedAt: new Date(lastUsedAt),
    expiresAt: new Date(Math.min(lastUsedAt + idleFor, absoluteExpiresAt)),
    addressPrefix: label?.addressPrefix,
    binding: label === undefined ? undefined : (label.binding ?? 'none'),
    carrier: label?.carrier,
  });
}
