/**
 * What an `Accept-Language` header asks for (RFC 9110 §12.5.4), so that order, weights, case and white
 * space alone make no difference.
 */
export interface Languages {
  /** The one liked best, without its region: `de` of `de-AT`. */
  readonly primary: string;
  /** All that are accepted, in the order of the alphabet. */
  readonly all: string;
}

/** No browser says more; who does is known by its beginning. */
const MAX_LENGTH = 512;

const RANGE = /^([a-z]{1,8}(?:-[a-z0-9]{1,8}){0,7}|\*)(?:[ \t]*;[ \t]*q=(\d(?:\.\d{0,3})?))?$/;

/** `undefined` for a header that asks for no language. */
export function readLanguages(header: string): Languages | undefined {
  const weights = new Map<string, number>();
  for (const range of header.slice(0, MAX_LENGTH).toLowerCase().split(',')) {
    const [, tag, weight = '1'] = RANGE.exec(range.trim()) ?? [];
    if (tag !== undefined && Number(weight) > 0) weights.set(tag, Number(weight));
  }
  const [best] = [...weights].toSorted(([, one], [, other]) => other - one);
  if (best === undefined) return undefined;
  const [primary = ''] = best[0].split('-');
  return { primary, all: [...weights.keys()].toSorted().join() };
}
