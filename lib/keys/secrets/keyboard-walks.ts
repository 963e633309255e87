/**
 * Where the keys lie on the keyboards of the world, to foresee the next key of a finger that walks
 * or drums: qwertyuiop, 1qaz2wsx, asdasd.
 */

interface Place {
  readonly row: number;
  readonly column: number;
}

/** The rows of a layout, plain and shifted; a space where a key holds nothing that people walk to. */
const LAYOUTS: readonly (readonly (readonly [plain: string, shifted: string])[])[] = [
  [
    ['`1234567890-=', '~!@#$%^&*()_+'],
    [' qwertyuiop[]\\', ' qwertyuiop{}|'],
    [" asdfghjkl;'", ' asdfghjkl:"'],
    [' zxcvbnm,./', ' zxcvbnm<>?'],
  ],
  [
    ['^1234567890', '°!"§$%&/()='],
    [' qwertzuiop+', ' qwertzuiop*'],
    [' asdfghjkl#', " asdfghjkl'"],
    [' yxcvbnm,.-', ' yxcvbnm;:_'],
  ],
  [
    [' 1234567890', ' &   (-   )'],
    [' azertyuiop', ' azertyuiop'],
    [' qsdfghjklm', ' qsdfghjklm'],
    [' wxcvbn,;:!', ' wxcvbn?./ '],
  ],
];

/** A step that goes on, the same key again, a key next to it, a new row or column begun. */
const GOES_ON = 0.55;
const NEIGHBOUR = 0.03;
const NEW_LINE = 0.06;

const PLACES = LAYOUTS.map((rows) => {
  const places = new Map<number, Place>();
  for (const [row, lines] of rows.entries()) {
    for (const line of lines) {
      for (let column = 0; column < line.length; column++) {
        const key = line.charCodeAt(column);
        if (key !== 0x20 && !places.has(key)) places.set(key, { row, column });
      }
    }
  }
  return places;
});

/**
 * How likely the key `next` is after `last`, and before that `before`. Two bytes may share a key, so
 * what is bet on a place is halved; 12 places are bet on at most.
 */
export function predictKeys(
  layout: number,
  before: number | undefined,
  last: number,
  next: number,
): number {
  const places = PLACES[layout];
  const from = places?.get(last);
  const to = places?.get(next);
  if (from === undefined || to === undefined) return 0;
  const shareOfKey = isLetter(next) ? 1 : 0.5;
  return shareOfKey * (walkShare(places?.get(before ?? -1), from, to) + nearShare(from, to));
}

/** On in the same direction. */
function walkShare(before: Place | undefined, from: Place, to: Place): number {
  if (before === undefined) return 0;
  const row = from.row + (from.row - before.row);
  const column = from.column + (from.column - before.column);
  return to.row === row && to.column === column ? GOES_ON : 0;
}

/** Next to the last key, or where the next row or column begins. */
function nearShare(from: Place, to: Place): number {
  const rows = to.row - from.row;
  const columns = to.column - from.column;
  if (Math.abs(rows) <= 1 && Math.abs(columns) <= 1) return NEIGHBOUR;
  if (rows === 1 && to.column === 1) return NEW_LINE;
  return to.row === 0 && columns === 1 ? NEW_LINE : 0;
}

function isLetter(byte: number): boolean {
  return byte >= 0x61 && byte <= 0x7a;
}
