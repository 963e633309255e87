import { type IpAddress, readIpAddress } from './ip-address.js';

/**
 * What proxies write of whom they got a request from, read one hop at a time from its end. Before
 * what the nearest proxy wrote stands whatever the client made up: quotes that never close and
 * commas within them reach no further than to its own part.
 */

/** Which header the proxies write; the other one is the client's word. */
export type ForwardedHeader = 'X-Forwarded-For' | 'Forwarded';

/** Whom one proxy got the request from. */
export interface Hop {
  readonly address: IpAddress;
  /** Where the text of the hops before it ends; negative if it is the first. */
  readonly before: number;
}

/** Reads the last hop of a header up to `end`; `undefined` if it names no address. */
export type HopReader = (header: string, end: number) => Hop | undefined;

/** The parameters of one element, and where the text of those before it ends. */
interface Element {
  readonly parameters: ReadonlyMap<string, string>;
  readonly before: number;
}

/**
 * A parameter, if there is one, and the semicolon or end behind it (RFC 7239 §4). Quoted is what RFC
 * 9110 §5.6.4 lets be; spaces around semicolons are common.
 */
const PARAMETER =
  /(?:(?<name>[\w!#$%&'*+.^`|~-]+)=(?:(?<token>[\w!#$%&'*+.^`|~-]+)|"(?<quoted>(?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*)"))?[ \t]*(?:;[ \t]*|$)/gy;

/**
 * A node that is an address (RFC 7239 §6). IPv6 stands in brackets, without them its end would be
 * taken for a port; `unknown` and names such as `_hidden` are addresses of nobody.
 */
const NODE = /^(?:\[(?<v6>[^[\]]+)\]|(?<v4>[\d.]+))(?::(?:\d{1,5}|_[\w.-]+))?$/;

export const HOP_READERS: Readonly<Record<ForwardedHeader, HopReader>> = {
  'X-Forwarded-For': (header, end) => {
    const before = header.lastIndexOf(',', end - 1);
    const address = readIpAddress(header.slice(before + 1, end).trim());
    return address === undefined ? undefined : { address, before };
  },
  Forwarded: (header, end) => {
    const element = lastElement(header, end);
    const address = addressOfNode(element?.parameters.get('for') ?? '');
    return element === undefined || address === undefined
      ? undefined
      : { address, before: element.before };
  },
};

/**
 * The scheme that the client of the last proxy used, in lower case (RFC 7239 §5.4). `undefined` if
 * that proxy did not say, or not in a well-formed way.
 */
export function forwardedProto(header: string): string | undefined {
  return lastElement(header, header.length)?.parameters.get('proto')?.toLowerCase();
}

function addressOfNode(node: string): IpAddress | undefined {
  const { v4, v6 } = NODE.exec(node)?.groups ?? {};
  return v6?.includes(':') === false ? undefined : readIpAddress(v6 ?? v4 ?? '');
}

function lastElement(header: string, end: number): Element | undefined {
  let before = end - 1;
  while (before >= 0 && header[before] !== ',') {
    if (header[before] === '"') before = openingQuote(header, before);
    before--;
  }
  const parameters = readParameters(header.slice(Math.max(before, -1) + 1, end).trim());
  return parameters && { parameters, before };
}

/** Where the quoted text begins that ends there; negative if it does not. */
function openingQuote(header: string, closing: number): number {
  let quote = closing;
  // One behind a backslash is within the text: before the first one stands an equals sign.
  do quote = header.lastIndexOf('"', quote - 1);
  while (quote > 0 && header[quote - 1] === '\\');
  return quote;
}

/** `undefined` unless it is one well-formed element. */
function readParameters(element: string): ReadonlyMap<string, string> | undefined {
  const parameters = new Map<string, string>();
  let end = 0;
  for (const { 0: text, index, groups = {} } of element.matchAll(PARAMETER)) {
    end = index + text.length;
    const { name, token, quoted = '' } = groups;
    if (name === undefined) continue;
    const known = name.toLowerCase();
    // Readers would disagree on which of two counts, so there must not be two.
    if (parameters.has(known)) return undefined;
    parameters.set(known, token ?? quoted.replaceAll(/\\(.)/g, '$1'));
  }
  return end === element.length ? parameters : undefined;
}
