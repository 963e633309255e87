import {
  closesAt,
  formatListName,
  listNameAt,
  parseListName,
} from '../../lib/status-list/list-name.js';

const DAY = 86_400;
const NOW = Date.UTC(2026, 10, 22, 13, 45, 59) / 1000;

describe('the name of a list', () => {
  it('is that of the period an instant lies in', () => {
    const name = listNameAt(NOW, DAY, 3);
    expect(name).toEqual({ start: Date.UTC(2026, 10, 22) / 1000, period: DAY, number: 3 });
    expect(closesAt(name)).toBe(Date.UTC(2026, 10, 23) / 1000);
    expect(listNameAt(closesAt(name) - 1, DAY, 3)).toEqual(name);
    expect(listNameAt(closesAt(name), DAY, 3).start).toBe(closesAt(name));
  });

  it.each([
    [{ start: 0, period: 600, number: 0 }],
    [listNameAt(NOW, DAY, 0)],
    [listNameAt(NOW, 600, 1_234)],
    [listNameAt(NOW, 7 * DAY, 36 ** 5 - 1)],
  ])('%j is read as it was written', (name) => {
    const text = formatListName(name);
    expect(text).toMatch(/^[0-9a-z-]{5,21}$/);
    expect(parseListName(text)).toEqual(name);
  });

  it('differs wherever the lists differ', () => {
    const names = [
      listNameAt(NOW, DAY, 0),
      listNameAt(NOW, DAY, 1),
      listNameAt(NOW + DAY, DAY, 0),
      { ...listNameAt(NOW, DAY, 0), period: DAY / 2 },
    ];
    expect(new Set(names.map(formatListName)).size).toBe(names.length);
  });

  const good = formatListName(listNameAt(NOW, DAY, 0));

  it.each([
    ['nothing', ''],
    ['other text', 'favicon.ico'],
    ['a part less', good.slice(0, -2)],
    ['a part more', `${good}-0`],
    ['capitals', good.toUpperCase()],
    ['a zero in front', `0${good}`],
    ['a zero in front of the number', `${good.slice(0, -1)}00`],
    ['a sign', `${good.slice(0, -1)}-1`],
    ['no period', '0-0-0'],
    ['an instant where no period begins', formatListName({ start: 601, period: 600, number: 0 })],
    ['a path', `../${good}`],
    ['a line break', `${good}\n`],
    ['too long a number', `${good.slice(0, -1)}zzzzzz`],
    ['an endless one', '9'.repeat(10_000)],
  ])('is not %s', (_what, text) => {
    expect(parseListName(text)).toBeUndefined();
  });
});
