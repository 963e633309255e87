import type { SessionInfo } from './session.js';
import { readLabel } from './session-grant.js';
import type { SessionRecord } from './session-store.js';

/** A session as its owner may see it, from what is kept of it. */
export function describeSession(record: SessionRecord): SessionInfo {
  const { key, createdAt, lastUsedAt, idleFor, absoluteExpiresAt } = record;
  const { device, addressPrefix, binding, carrier } = readLabel(record);
  return Object.freeze({
    sessionId: key.id,
    device,
    createdAt: new Date(createdAt),
    lastUsedAt: new Date(lastUsedAt),
    expiresAt: new Date(Math.min(lastUsedAt + idleFor, absoluteExpiresAt)),
    addressPrefix,
    binding: binding ?? 'none',
    carrier,
  });
}
