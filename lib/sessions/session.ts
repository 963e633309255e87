import type { SenderSignals } from '../binding/fingerprint/sender-signals.js';
import type { Duration } from '../kernel/duration.js';
import type { ClaimInput } from '../tokens/claims.js';
import type { Misuse } from './session-store.js';

/**
 * What a sender has to prove besides its tokens, with each refresh and each use of an access token:
 * that it holds a key (RFC 9449), a client certificate (RFC 8705), or the cookie that no script reads
 * (`SessionCookies.writeSenderCookie`).
 */
export type SessionBinding =
  | {
      readonly kind: 'dpop' | 'mtls';
      /** The thumbprint, as `SenderProofs.prove` answers it; only a digest is kept. */
      readonly value: string;
      /** What uses the proof up, as `SenderProofs.prove` answers it. */
      readonly use?: () => Promise<void>;
    }
  | { readonly kind: 'cookie' };

/** What the subject of a session may do. */
export interface Entitlements {
  /** As a list or as RFC 6749 §3.3 text. @defaultValue none */
  readonly scope?: string | readonly string[];
  readonly roles?: readonly string[];
  readonly permissions?: readonly string[];
  /** Other claims of its access tokens: JSON, neither secret nor personal. */
  readonly claims?: Readonly<Record<string, ClaimInput | undefined>>;
}

/** What a session begins with. */
export interface SessionStart extends Entitlements {
  /** The client its tokens are issued to (RFC 9068 §2.2). @defaultValue `tokens.clientId` */
  readonly clientId?: string;
  /** When the user authenticated; never changed by a refresh. @defaultValue now */
  readonly authTime?: Date;
  /** How strongly (OpenID Connect Core §2). */
  readonly acr?: string;
  /** By what (RFC 8176). */
  readonly amr?: readonly string[];
  /** What the user will know the device by, at most 200 characters, such as `Firefox on Linux`. */
  readonly device?: string | undefined;
  /** The client's address. Only its prefix is kept: /24 of IPv4, /48 of IPv6. */
  readonly address?: string | undefined;
  /** What its sender has to prove from now on. @defaultValue nothing */
  readonly binding?: SessionBinding;
  /** What its sender looks like, for `binding.fingerprint` and `binding.address`. */
  readonly fingerprint?: SenderSignals;
  /** What `SenderProofs.prove` says of a cookie; a session that starts makes its own. */
  readonly senderCookie?: string;
  /**
   * Whether tokens travel in bodies and headers or in cookies. Those in cookies come with a CSRF
   * token, and their access tokens say so.
   * @defaultValue `'body'`
   */
  readonly carrier?: Carrier;
  /** Shorter than `sessions.idleFor`. @defaultValue `sessions.idleFor` */
  readonly idleFor?: Duration;
  /** Shorter than `sessions.absoluteFor`. @defaultValue `sessions.absoluteFor` */
  readonly absoluteFor?: Duration;
}

/** What a refresh is asked with, besides its token. */
export interface SessionRefresh {
  /**
   * A part of the session's scope, for the new access token alone (RFC 6749 §6).
   * @defaultValue the session's
   */
  readonly scope?: string | readonly string[];
  /** The client that asks. @defaultValue `tokens.clientId` */
  readonly clientId?: string;
  /** As in `SessionStart`. @defaultValue as it was */
  readonly device?: string | undefined;
  readonly address?: string | undefined;
  /** What the sender proved; has to equal what the session began with. */
  readonly binding?: Extract<SessionBinding, { readonly value: string }>;
  /** As in `SessionStart`; from now on it is expected to look so. */
  readonly fingerprint?: SenderSignals;
  /** For a session that is bound by a cookie: its value, as `SenderProofs.prove` reads it. */
  readonly senderCookie?: string;
  /**
   * Where the token was found. One of another carrier is refused: a token in the body of a form that
   * another site sent must not be answered with cookies.
   * @defaultValue either
   */
  readonly carrier?: Carrier;
}

export type Carrier = 'body' | 'cookie';

/** The members of `SessionStart` and `SessionRefresh`; the compiler sees to it that none is missing. */
export const START_MEMBERS = Object.keys({
  scope: 0,
  roles: 0,
  permissions: 0,
  claims: 0,
  clientId: 0,
  authTime: 0,
  acr: 0,
  amr: 0,
  device: 0,
  address: 0,
  binding: 0,
  fingerprint: 0,
  senderCookie: 0,
  carrier: 0,
  idleFor: 0,
  absoluteFor: 0,
} satisfies Record<keyof SessionStart, 0>);
export const REFRESH_MEMBERS = Object.keys({
  scope: 0,
  clientId: 0,
  device: 0,
  address: 0,
  binding: 0,
  fingerprint: 0,
  senderCookie: 0,
  carrier: 0,
} satisfies Record<keyof SessionRefresh, 0>);

/** What a client gets for a login or a refresh (RFC 6749 §5.1). */
export interface TokenPair {
  readonly accessToken: string;
  /** How the access token has to be sent: with proofs, if it is bound to a key (RFC 9449 §5). */
  readonly tokenType: 'Bearer' | 'DPoP';
  /** Seconds until the access token expires. */
  readonly expiresIn: number;
  readonly refreshToken: string;
  /** Seconds until the refresh token expires unless it is used. */
  readonly refreshExpiresIn: number;
  /** Of this access token; scope tokens with a space between. */
  readonly scope: string;
  readonly subject: string;
  readonly sessionId: string;
  readonly carrier: Carrier;
  /** For the header of requests whose access token comes in a cookie; the same for the whole session. */
  readonly csrfToken: string | undefined;
  /** For `SessionCookies.writeSenderCookie`, if the session is bound by it; changes with each refresh. */
  readonly senderCookie: string | undefined;
}

/** A session as its owner may see it. No token, and nothing a token could be made of. */
export interface SessionInfo {
  /** The `sid` of its tokens. */
  readonly sessionId: string;
  readonly device: string | undefined;
  readonly createdAt: Date;
  /** When it was last refreshed, or started. */
  readonly lastUsedAt: Date;
  /** When it ends unless it is used. */
  readonly expiresAt: Date;
  /** Of the address it was last used from, such as `192.0.2.0/24`. */
  readonly addressPrefix: string | undefined;
  /** `undefined`, as are all labels, where what is stored cannot be read: it can only be ended. */
  readonly binding: SessionBinding['kind'] | 'none' | undefined;
  readonly carrier: Carrier | undefined;
}

/** Which session the entitlements of are asked for. */
export interface SessionReference {
  readonly subject: string;
  readonly sessionId: string;
  readonly clientId: string | undefined;
}

/** A refresh token was used that should not have been any more: somebody has a copy. */
export interface SessionReuse extends SessionReference {
  readonly misuse: Misuse;
  readonly device: string | undefined;
  /** Of the address the session was last used from. */
  readonly addressPrefix: string | undefined;
  readonly startedAt: Date;
}
