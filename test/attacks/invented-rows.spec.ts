import { TokenError } from '../../lib/kernel/errors.js';
import { ADAPTERS, type AdapterName } from '../support/guarded-app.js';
import type { Answer } from '../support/http.js';
import {
  type Arena,
  faceOf,
  isHeaderValue,
  openArena,
  ROUTES,
  sendToken,
  type TokenRow,
} from '../vectors/arena.js';
import { INVENTED_ROWS } from './invented-rows.js';

/** More than a thousand rows of the classes of the malicious sample, on both adapters. */

interface Outcome {
  readonly row: TokenRow;
  readonly token: string;
  readonly answer: Answer;
}

let arena: Arena;
let tokens: ReadonlyMap<string, string>;
const outcomes = new Map<AdapterName, readonly Outcome[]>();

async function sendRow(row: TokenRow, adapter: AdapterName): Promise<Outcome> {
  const token = tokens.get(row.id) ?? '';
  return {
    row,
    token,
    answer: await sendToken(arena.side(adapter), ROUTES[row.route], token),
  };
}

beforeAll(async () => {
  arena = await openArena();
  tokens = arena.materialize(INVENTED_ROWS);
  for (const adapter of ADAPTERS) {
    const sent: Outcome[] = [];
    for (let start = 0; start < INVENTED_ROWS.length; start += 40) {
      const batch = INVENTED_ROWS.slice(start, start + 40);
      sent.push(...(await Promise.all(batch.map((row) => sendRow(row, adapter)))));
    }
    outcomes.set(adapter, sent);
  }
});

afterAll(() => arena.close());

/** The statuses a row may be answered with. */
function allowed({ row, token }: Outcome): readonly number[] {
  // What cannot stand in a header is refused by the HTTP parser, before the application.
  const byParser = row.expected === 'reject' && !isHeaderValue(token) ? [400] : [];
  return [...row.status, ...byParser];
}

const CLASSES = [...new Set(INVENTED_ROWS.map((row) => row.class))];

describe.each(ADAPTERS)('invented rows on %s', (adapter) => {
  it.each(CLASSES)('%s: every row is accepted or refused as it says', (name) => {
    const wrong = (outcomes.get(adapter) ?? [])
      .filter(({ row }) => row.class === name)
      .filter((outcome) => !allowed(outcome).includes(outcome.answer.status))
      .map(({ row, answer }) => `${row.id} (${row.name}) was answered ${answer.status}`);
    expect(wrong).toEqual([]);
  });

  it('refusals of one kind are the same bytes (RFC 6750 §3)', () => {
    const faces = new Map<string, Set<string>>();
    for (const { row, token, answer } of outcomes.get(adapter) ?? []) {
      if (row.expected === 'accept' || !isHeaderValue(token)) continue;
      const kind = answer.status === 403 ? `403 on ${row.route}` : String(answer.status);
      faces.set(kind, (faces.get(kind) ?? new Set()).add(faceOf(answer)));
    }
    expect(Object.fromEntries([...faces].map(([kind, { size }]) => [kind, size]))).toEqual({
      '401': 1,
      '403 on admin': 1,
      '403 on backoffice': 1,
    });
  });

  it('every refusal ties its log line to an X-Request-Id, each to its own', () => {
    const ids = (outcomes.get(adapter) ?? [])
      .filter(({ row, token }) => row.expected === 'reject' && isHeaderValue(token))
      .map(({ answer }) => answer.headers['x-request-id']);
    expect(ids.filter((id) => id === undefined)).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('invented rows', () => {
  it('every row that is no matter of rights is refused by the verifier itself', async () => {
    const wrong: string[] = [];
    const service = arena.side('express').tokens;
    for (const row of INVENTED_ROWS.filter(({ status }) => status.join() === '401')) {
      await service.verify(tokens.get(row.id) ?? '').then(
        () => wrong.push(`${row.id} (${row.name}) was accepted`),
        (error: unknown) => {
          if (!(error instanceof TokenError)) wrong.push(`${row.id} threw ${String(error)}`);
        },
      );
    }
    expect(wrong).toEqual([]);
  });

  it('there are many, and no header was ever followed', () => {
    expect(INVENTED_ROWS.length).toBeGreaterThan(1000);
    expect(arena.canaryCalls()).toBe(0);
  });
});
