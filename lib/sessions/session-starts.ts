import { prefixOf } from '../binding/client-address.js';
import { StoreError } from '../kernel/errors.js';
import type { SessionFacts } from '../tokens/token-standing.js';
import { claimsToStart } from './entitlements.js';
import { learnRevocations } from './known-revocations.js';
import type { PromisedSession } from './promised-session.js';
import { newRefreshToken, presented } from './refresh-token.js';
import type { RefusedTokens } from './refused-tokens.js';
import { type SessionStart, START_MEMBERS, type TokenPair } from './session.js';
import { grantOf, readLabel, sealData } from './session-grant.js';
import { bindingDigest, expectMembers, readCarrier, readDevice, shorter } from './session-input.js';
import type { SessionSenders } from './session-sender.js';
import type { SessionKey, SessionRecord, SessionStore } from './session-store.js';
import type { SessionTokens } from './session-tokens.js';
import type { SessionsConfig, SessionsSurroundings } from './sessions-config.js';

/** What sessions are started with. */
export interface SessionStartParts extends Omit<
  SessionsSurroundings,
  'store' | 'replays' | 'senders'
> {
  readonly store: SessionStore;
  readonly senders: SessionSenders;
  readonly sessionTokens: SessionTokens;
  readonly refused: RefusedTokens;
}

/** Milliseconds: what was revoked since a start began is remembered for far longer. */
const START_WITHIN = 60_000;

/** Starts sessions: whatever can fail has failed before anything is stored, or there is no session. */
export class SessionStarts {
  constructor(
    private readonly config: SessionsConfig,
    private readonly parts: SessionStartParts,
  ) {}

  async begin(
    subject: string,
    start: SessionStart,
    promised: Partial<PromisedSession>,
  ): Promise<TokenPair> {
    expectMembers(start, START_MEMBERS);
    const { store, tokens, sessionTokens, senders, revocations, clock, events } = this.parts;
    const { issuer, seals, perSubject } = this.config;
    const beganAt = clock.now();
    const { binding } = start;
    const carrier = readCarrier(start.carrier);
    const clientId = start.clientId ?? this.config.clientId ?? undefined;
    const { token = newRefreshToken(issuer, subject), startedAt = clock.now() } = promised;
    const replaced = await this.#replaced(token.key, promised.replaces);
    const { idleFor, absoluteFor } = this.#lengths(start, replaced);
    const claims = claimsToStart(subject, start, { sessionId: token.key.id, clientId, startedAt });
    const label = {
      device: readDevice(start.device) ?? (replaced && readLabel(replaced).device),
      addressPrefix: prefixOf(start.address ?? ''),
      binding: binding?.kind,
      carrier,
    };
    const sender = senders.begin(start);
    const proof = bindingDigest(binding);
    // All of it: a session of an era that has ended would be refused below.
    await learnRevocations(revocations);
    const standing = promised.standing ?? (await tokens.standingFor(subject));
    const endsAt = startedAt + Math.min(absoluteFor, idleFor);
    const making = { standing, token, carrier, binding, sender, endsAt };
    const prepared = await this.parts.refused.checked(() => sessionTokens.prepare(claims, making));
    const grant = grantOf(prepared.signed.claims, { standing, carrier, ...sender });
    const data = sealData(seals, token, { label, grant });
    const { lineage, secret } = presented(token, clientId, null);
    // Room for both, as long as there are both.
    const atMost = promised.replaces === undefined ? perSubject : perSubject + 1;
    await useProof(binding);
    await promised.claim?.();
    const { key } = token;
    const kept = { key, lineage, secret, binding: proof, data };
    const ended = await store.create({ ...kept, idleFor, absoluteFor, atMost });
    if (ended === null) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'The session could not be stored.');
    }
    const { id: sessionId } = key;
    await this.#unlessFailed(key, async () => {
      await this.#revokeEnded(ended);
      await this.#confirm({ subject, sessionId, startedAt, standing }, beganAt);
    });
    events.emit({ type: 'session.started', at: new Date(clock.now()), sessionId, carrier });
    prepared.announce();
    return sessionTokens.pair(token, grant, prepared, Math.min(idleFor, absoluteFor));
  }

  async #replaced(
    { owner }: SessionKey,
    sessionId: string | undefined,
  ): Promise<SessionRecord | undefined> {
    if (sessionId === undefined) return undefined;
    const records = await this.parts.store.list(owner);
    return records.find(({ key }) => key.id === sessionId);
  }

  /** As asked for, as configured, and no longer than those of a session whose place it takes. */
  #lengths(
    start: SessionStart,
    replaced: SessionRecord | undefined,
  ): Pick<SessionsConfig, 'idleFor' | 'absoluteFor'> {
    const idleFor = shorter('idleFor', start.idleFor, this.config.idleFor);
    const absoluteFor = shorter('absoluteFor', start.absoluteFor, this.config.absoluteFor);
    if (replaced === undefined) return { idleFor, absoluteFor };
    return {
      idleFor: Math.min(idleFor, replaced.idleFor),
      absoluteFor: Math.min(absoluteFor, replaced.absoluteExpiresAt - replaced.createdAt),
    };
  }

  /** The oldest sessions of a subject make room for a new one, and so do their access tokens. */
  async #revokeEnded(ended: readonly string[]): Promise<void> {
    const { events, revocations, clock } = this.parts;
    const at = new Date(clock.now());
    for (const sessionId of ended) events.emit({ type: 'session.ended', at, sessionId });
    for (const sessionId of ended) await revocations.revokeSession(sessionId);
  }

  /**
   * What was revoked while it was stored did not find it there. It has to be known here now: by the
   * first refresh it can be forgotten.
   */
  async #confirm(facts: SessionFacts, beganAt: number): Promise<void> {
    const { clock, revocations, tokens, refused } = this.parts;
    if (clock.now() - beganAt > START_WITHIN) {
      throw new StoreError('ERR_STORE_UNAVAILABLE', 'It took too long to start the session.');
    }
    await learnRevocations(revocations);
    await refused.judged(facts.sessionId, () => tokens.standingOf(facts));
  }

  /** A session whose start fails is gone: nobody gets its tokens. */
  async #unlessFailed(key: SessionKey, finish: () => Promise<void>): Promise<void> {
    try {
      await finish();
    } catch (error) {
      // If it cannot be ended either, it ends by not being used.
      await this.parts.store.end(key).catch(() => {});
      throw error;
    }
  }
}

/** Last of what can refuse: who gets nothing has nothing remembered. */
export async function useProof(binding: SessionStart['binding']): Promise<void> {
  if (binding !== undefined && binding.kind !== 'cookie') await binding.use?.();
}
