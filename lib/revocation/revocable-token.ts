import { digestOf } from './revocation-entry.js';
import type { RevocationIndex } from './revocation-index.js';
import type { RevocationKind } from './revocation-entry.js';

/** What revocations are judged by, as a verified token says it. */
export interface TokenFacts {
  readonly issuer: string;
  readonly kid: string;
  readonly subject: string;
  readonly tokenId: string;
  readonly sessionId: string | undefined;
  /** In seconds. */
  readonly issuedAt: number;
  /** Of a token of this service; `undefined` for those that others signed. */
  readonly era: number | undefined;
}

/** The same with digests for names. */
export interface RevocableNames extends Pick<TokenFacts, 'issuedAt' | 'era'> {
  readonly token: string;
  readonly session: string | undefined;
  readonly subject: string;
  readonly key: string;
}

/** Why a token is dead, and since when, in milliseconds. */
export interface Verdict {
  readonly kind: RevocationKind;
  readonly since: number;
}

/** A token in the eyes of the index. Digests are made when they are first asked for. */
export class RevocableToken implements RevocableNames {
  readonly #facts: TokenFacts;
  #token: string | undefined;
  #session: string | undefined;
  #subject: string | undefined;
  #key: string | undefined;
  /** The generation of the index that had nothing against it. */
  clearedAt = -1;

  constructor(facts: TokenFacts) {
    this.#facts = facts;
  }

  get token(): string {
    const { issuer, tokenId } = this.#facts;
    return (this.#token ??= digestOf('token', issuer, tokenId));
  }

  get session(): string | undefined {
    const { issuer, sessionId } = this.#facts;
    if (sessionId === undefined) return undefined;
    return (this.#session ??= digestOf('session', issuer, sessionId));
  }

  get subject(): string {
    const { issuer, subject } = this.#facts;
    return (this.#subject ??= digestOf('subject', issuer, subject));
  }

  get key(): string {
    const { issuer, kid } = this.#facts;
    return (this.#key ??= digestOf('key', issuer, kid));
  }

  get issuedAt(): number {
    return this.#facts.issuedAt;
  }

  get era(): number | undefined {
    return this.#facts.era;
  }
}

/** The instant at which a token is judged, and how far the clocks of other issuers may be off. */
export interface Judgement {
  /** In milliseconds. */
  readonly now: number;
  /** In seconds. */
  readonly leeway: number;
}

/** What kills a token, the narrowest reason first; `undefined` while it lives. */
export function judge(
  index: RevocationIndex,
  token: RevocableNames,
  at: Judgement,
): Verdict | undefined {
  return byName(index, token, at.now) ?? bySubject(index, token, at) ?? byDate(index, token, at);
}

// A kind of which there is none costs no digest.
function byName(index: RevocationIndex, token: RevocableNames, now: number): Verdict | undefined {
  const byToken = index.sizeOf('token') > 0 ? index.find('token', token.token, now) : undefined;
  if (byToken !== undefined) return { kind: 'token', since: byToken };
  const session = index.sizeOf('session') > 0 ? token.session : undefined;
  const bySession = session === undefined ? undefined : index.find('session', session, now);
  if (bySession !== undefined) return { kind: 'session', since: bySession };
  const byKey = index.sizeOf('key') > 0 ? index.findKey(token.key, now) : undefined;
  return byKey === undefined ? undefined : { kind: 'key', since: byKey };
}

function bySubject(
  index: RevocationIndex,
  token: RevocableNames,
  at: Judgement,
): Verdict | undefined {
  const { now, leeway } = at;
  for (const kind of ['subject', 'version', 'others'] as const) {
    const era = index.sizeOf(kind) > 0 ? index.find(kind, token.subject, now) : undefined;
    if (era === undefined || !isOfEarlierEra(token, era, leeway)) continue;
    if (kind !== 'others' || !isExempt(index, token, era, at)) return { kind, since: era };
  }
  return undefined;
}

function byDate(
  index: RevocationIndex,
  token: RevocableNames,
  { now, leeway }: Judgement,
): Verdict | undefined {
  const era = index.everything(now);
  if (era !== undefined && isOfEarlierEra(token, era, leeway)) {
    return { kind: 'everything', since: era };
  }
  const instant = index.before(now);
  if (instant === undefined) return undefined;
  const slack = token.era === undefined ? leeway : 0;
  if ((token.issuedAt - slack) * 1000 >= instant) return undefined;
  return { kind: 'before', since: instant };
}

/**
 * A token of ours carries its era, which no clock can mistake. Of others only `iat` is known, in
 * seconds and by their clock: what was issued within the leeway dies too.
 */
function isOfEarlierEra(token: RevocableNames, era: number, leeway: number): boolean {
  if (token.era !== undefined) return token.era < era;
  return token.issuedAt <= era / 1000 + leeway;
}

/** Whether this very token, or its session, was spared by the revocation that opened this era. */
function isExempt(
  index: RevocationIndex,
  revoked: RevocableNames,
  era: number,
  { now, leeway }: Judgement,
): boolean {
  if (index.sizeOf('exemption') === 0) return false;
  const { subject, token, session } = revoked;
  const exemptions = [
    exemptionOf('exemptToken', subject, token),
    ...(session === undefined ? [] : [exemptionOf('exemptSession', subject, session)]),
  ];
  return exemptions.some((exempt) => {
    if (!isSpared(index, exempt, era, now)) return false;
    const floor = index.find('exemption', floorOf(exempt), now);
    return floor === undefined || !isOfEarlierEra(revoked, floor, leeway);
  });
}

function isSpared(index: RevocationIndex, exempt: string, era: number, now: number): boolean {
  return (index.find('exemption', exempt, now) ?? -1) >= era;
}

/** The digest of an exemption, made of the digests of who is exempt from what befell whom. */
export function exemptionOf(
  named: 'exemptToken' | 'exemptSession',
  subject: string,
  name: string,
): string {
  return digestOf(named, subject, name);
}

/**
 * The digest under which it is kept which era a token has to carry to be exempt at all. The index
 * keeps the latest `others` of a subject: what an earlier one ended would otherwise live again once a
 * later one spares it.
 */
export function floorOf(exempt: string): string {
  return digestOf('exemptSession', exempt);
}

/** The latest `others` of a subject, if it did not spare what is to be exempt now. */
export function unsparedEra(
  index: RevocationIndex,
  { subject, exempt }: { readonly subject: string; readonly exempt: string },
  now: number,
): number | undefined {
  const era = index.find('others', subject, now);
  return era === undefined || isSpared(index, exempt, era, now) ? undefined : era;
}
