import {
  type CookieCredentials,
  type HttpsDemand,
  RequestTransport,
} from '../guard/request-transport.js';
import { AccessCookie } from './access-cookie.js';
import { HttpsOnly } from './https-only.js';
import type { TransportConfig } from './transport-config.js';

/** What the configuration asks the guard to look at, before and beside the token. */
export class HttpTransport extends RequestTransport {
  readonly https: HttpsDemand | null;
  readonly cookies: CookieCredentials | null;

  constructor(config: TransportConfig) {
    super();
    this.https = config.https === null ? null : new HttpsOnly(config);
    this.cookies = config.cookies === null ? null : new AccessCookie(config);
  }
}
