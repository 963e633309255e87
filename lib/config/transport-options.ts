/** How requests reach this service, and whether browsers may keep tokens in cookies. */
export interface TransportOptions {
  /**
   * Takes the access token also from the cookie `__Host-access_token`, and lets `SessionCookies` write
   * the cookies of a session. `{}` for the defaults. A cookie is only good for sessions started with
   * `carrier: 'cookie'`; requests that may change something must come from `origins` and bring the
   * session's CSRF token in `X-CSRF-Token`. A token in the cookie and one in the header is 400.
   * @defaultValue `null`: tokens travel in the `Authorization` header alone, cookies are not read
   */
  readonly cookies?: SessionCookieOptions | null;

  /**
   * The origins whose pages may send requests with cookies, as browsers write them in `Origin`:
   * `['https://app.example.com']`. The list is complete: name this service's own origin if it has pages
   * too. `http` only for this machine (`localhost`, `127.0.0.1`, `[::1]`).
   * @defaultValue the origin that the request was sent to, read from `Host`
   */
  readonly origins?: readonly [string, ...string[]];

  /**
   * `'required'`: what did not come over https is refused with 403 before anything else is looked at;
   * `GET` and `HEAD` are redirected (308). Behind a proxy that ends TLS this needs `trustedProxies`.
   * `null` lets tokens travel in clear.
   * @defaultValue `'required'` with `NODE_ENV=production`, else `null`
   */
  readonly https?: 'required' | null;

  /**
   * The proxies in front of this service: addresses, networks (`'10.0.0.0/8'`), or `'loopback'` for
   * this machine. They alone are believed of their clients' address and scheme, which they must write
   * as `forwardedHeader` says. Whoever else can connect from there can pretend to be any client, over
   * https.
   * @defaultValue `[]`: nobody
   */
  readonly trustedProxies?: readonly string[];

  /**
   * What the proxies of `trustedProxies` write: `X-Forwarded-For` and `X-Forwarded-Proto`, or both in
   * `Forwarded` (RFC 7239). The other ones are never read, for they may come from the client.
   * @defaultValue `'X-Forwarded-For'`
   */
  readonly forwardedHeader?: 'X-Forwarded-For' | 'Forwarded';
}

/** What may be chosen of the cookies. `__Host-`, `Secure` and `HttpOnly` may not. */
export interface SessionCookieOptions {
  /**
   * When browsers send them to follow links from other sites: never, or with `'Lax'` for top-level
   * `GET`, so that who comes by a link is logged in on the first page. Then no `GET` may change
   * anything.
   * @defaultValue `'Strict'`
   */
  readonly sameSite?: 'Strict' | 'Lax';
}
