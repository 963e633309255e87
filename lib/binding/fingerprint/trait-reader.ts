import { addressBlockOf, type ClientAddress, prefixOf } from '../client-address.js';
import { isThumbprint } from '../confirmation.js';
import type { SenderRequest } from '../sender-request.js';
import { readLanguages } from './accept-language.js';
import type { Trait, TraitValues } from './fingerprint-claim.js';
import type { FingerprintConfig, SignalWeights } from './fingerprint-config.js';
import { readUserAgent } from './user-agent.js';

/** Where the digest of a client comes that looked at itself. */
const CLIENT_SIGNALS = 'x-client-signals';

/** A text of the structured fields (RFC 8941 §3.3.3), as `Sec-CH-UA-Platform` has it. */
const QUOTED = /^"([ !#-[\]-~]{1,32})"$/;
/** A boolean of them (§3.3.6), as `Sec-CH-UA-Mobile` has it. */
const BOOLEAN = /^\?[01]$/;

/** What the headers said, unread, and behind them the address. */
export type Appearance = readonly (string | undefined)[];

/** More is not kept for the next request: then it is read once more. */
const MAX_KEPT = 2_048;

/** Reads of a request what is configured to be looked at, and nothing else. */
export class TraitReader {
  readonly #headers: readonly string[];
  readonly #wantsAddress: boolean;

  constructor(
    private readonly config: Pick<FingerprintConfig, 'weights' | 'address'>,
    private readonly addresses: ClientAddress,
  ) {
    const { weights, address } = config;
    this.#wantsAddress = weights.addressPrefix !== null || address !== null;
    this.#headers = headersFor(weights);
  }

  read(request: SenderRequest): TraitValues {
    const { weights, address } = this.config;
    const header = (name: string): string =>
      this.#headers.includes(name) ? headerOf(request, name) : '';
    const values: { [Name in Trait]?: string | null } = {};
    const agent = readUserAgent(header('user-agent'));
    if (weights.userAgent !== null) values.b = agent?.family ?? null;
    if (weights.userAgentVersion !== null) values.v = agent?.version ?? null;
    if (weights.platform !== null) {
      values.o = agent?.system ?? null;
      values.p = QUOTED.exec(header('sec-ch-ua-platform'))?.[1]?.toLowerCase() ?? null;
    }
    if (weights.mobile !== null) values.m = BOOLEAN.exec(header('sec-ch-ua-mobile'))?.[0] ?? null;
    if (weights.language !== null) {
      const languages = readLanguages(header('accept-language'));
      values.l = languages?.primary ?? null;
      values.a = languages?.all ?? null;
    }
    if (weights.clientSignals !== null) {
      const digest = header(CLIENT_SIGNALS);
      values.c = isThumbprint(digest) ? digest : null;
    }
    const client = this.#addressOf(request);
    if (weights.addressPrefix !== null) values.n = (client && prefixOf(client)) ?? null;
    if (address !== null) values.i = (client && addressBlockOf(client)) ?? null;
    return values;
  }

  /** `undefined` if it is too much to keep. */
  appearanceOf(request: SenderRequest): Appearance | undefined {
    const headers = this.#headers.map((name) => headerOf(request, name));
    const appearance = [...headers, this.#addressOf(request)];
    const length = appearance.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    return length <= MAX_KEPT ? appearance : undefined;
  }

  /** Whether a request looks the same, without reading what that means. */
  looksLike(request: SenderRequest, appearance: Appearance): boolean {
    const names = this.#headers;
    for (let index = 0; index < names.length; index++) {
      if (headerOf(request, names[index] ?? '') !== appearance[index]) return false;
    }
    return this.#addressOf(request) === appearance[names.length];
  }

  #addressOf(request: SenderRequest): string | undefined {
    return this.#wantsAddress ? this.addresses.addressOf(request) : undefined;
  }
}

/** An empty one says as little as none. */
function headerOf({ headers }: SenderRequest, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}

function headersFor(weights: SignalWeights): readonly string[] {
  const { userAgent, userAgentVersion, platform, mobile, language, clientSignals } = weights;
  const wantsAgent = userAgent !== null || userAgentVersion !== null || platform !== null;
  return [
    ...(wantsAgent ? ['user-agent'] : []),
    ...(platform === null ? [] : ['sec-ch-ua-platform']),
    ...(mobile === null ? [] : ['sec-ch-ua-mobile']),
    ...(language === null ? [] : ['accept-language']),
    ...(clientSignals === null ? [] : [CLIENT_SIGNALS]),
  ];
}
