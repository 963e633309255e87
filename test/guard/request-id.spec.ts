import { Controller, Get } from '@nestjs/common';

import { ADAPTERS } from '../support/guarded-app.js';
import { closeConnections } from '../support/http.js';
import { type ProtectedApp, type ProtectedAppOptions, startProtectedApp } from './protected-app.js';

afterAll(closeConnections);

@Controller('guarded')
class Guarded {
  @Get()
  get(): string {
    return 'reached';
  }
}

/** What the application does about ids, changed by each test. */
let answerId: string | undefined;
let requestId: unknown;

beforeEach(() => {
  answerId = undefined;
  requestId = undefined;
});

interface RawAnswer {
  setHeader(name: string, value: string): void;
}

const configure: NonNullable<ProtectedAppOptions['configure']> = (nest) => {
  nest.use((request: Record<string, unknown>, response: RawAnswer, next: () => void) => {
    if (answerId !== undefined) response.setHeader('x-request-id', answerId);
    if (requestId !== undefined) request['id'] = requestId;
    next();
  });
};

interface Ids {
  readonly answered: unknown;
  readonly logged: unknown;
}

/** The id of the answer to a refused request, and that of the event. */
async function refuse(app: ProtectedApp, headers: Record<string, string> = {}): Promise<Ids> {
  app.forgetEvents();
  const answer = await app.send('/guarded', { headers });
  expect(answer.status).toBe(401);
  const [event] = app.events;
  return {
    answered: answer.headers['x-request-id'],
    logged: event !== undefined && 'requestId' in event ? event.requestId : undefined,
  };
}

const NEW_ID = /^[\w-]{32}$/;

describe.each(ADAPTERS)('the id of a refusal on %s', (adapter) => {
  let app: ProtectedApp;

  beforeAll(async () => {
    app = await startProtectedApp([Guarded], { adapter, configure });
  });

  afterAll(() => app.close());

  it('is in the answer and in the event', async () => {
    const { answered, logged } = await refuse(app);

    expect(answered).toMatch(/^[\w.:-]{1,128}$/);
    expect(logged).toBe(answered);
  });

  it('is another one for each request', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => app.send('/guarded')));

    expect(new Set(answers.map(({ headers }) => headers['x-request-id'])).size).toBe(50);
  });

  it.each(['id-of-the-proxy', 'a'.repeat(128), '0af7651916cd43dd:b9c7.c989_f97918'])(
    'is the one the application put into the answer: %s',
    async (id) => {
      answerId = id;

      expect(await refuse(app)).toEqual({ answered: id, logged: id });
    },
  );

  it.each([
    ['too long', 'a'.repeat(129)],
    ['empty', ''],
    ['with a space', 'a b'],
    ['with a quote, which would end a field of the log line', 'a"b'],
    ['with an equals sign', 'code=ERR_NONE'],
    ['with a tab', 'a\tb'],
    ['outside ASCII', 'é'],
  ])('is a new one where the answer has one that is %s', async (_, id) => {
    answerId = id;
    const { answered, logged } = await refuse(app);

    expect(logged).toBe(answered);
    expect(answered).not.toBe(id);
    expect(answered).toMatch(/^[\w.:-]{1,128}$/);
  });

  it('is never taken from the request: a client could name the id of another', async () => {
    const planted = { 'x-request-id': 'planted', 'request-id': 'planted', traceparent: 'planted' };
    const { answered, logged } = await refuse(app, planted);

    expect(answered).not.toContain('planted');
    expect(logged).toBe(answered);
  });
});

describe('the id of a refusal on express', () => {
  let app: ProtectedApp;

  beforeAll(async () => {
    app = await startProtectedApp([Guarded], { configure });
  });

  afterAll(() => app.close());

  it('is that of request.id, which loggers set', async () => {
    requestId = 'log-7';

    expect(await refuse(app)).toEqual({ answered: 'log-7', logged: 'log-7' });
  });

  it.each([
    ['a number', 7],
    ['an object', { toString: () => 'planted' }],
    ['a list', ['planted']],
    ['a function', () => 'planted'],
    ['text with a line break', 'planted\r\nSet-Cookie: x=y'],
    ['text with a NUL', 'planted\u0000'],
    ['text of 129 characters', 'p'.repeat(129)],
    ['nothing', ''],
    ['null', null],
  ])('is a new one where request.id is %s', async (_, id) => {
    requestId = id;
    const { answered, logged } = await refuse(app);

    expect(answered).toMatch(NEW_ID);
    expect(logged).toBe(answered);
  });
});

describe('the id of a refusal on fastify', () => {
  interface Reply {
    header(name: string, value: string): unknown;
  }

  interface Server {
    addHook(name: 'onRequest', hook: (request: unknown, reply: Reply) => Promise<void>): void;
  }

  let app: ProtectedApp | undefined;

  async function start(settings: ProtectedAppOptions = {}): Promise<ProtectedApp> {
    app = await startProtectedApp([Guarded], { adapter: 'fastify', ...settings });
    return app;
  }

  afterEach(() => app?.close());

  it('is a new one, not the count of requests Fastify keeps', async () => {
    const { answered, logged } = await refuse(await start());
    expect(answered).toMatch(NEW_ID);
    expect(logged).toBe(answered);
  });

  it('is that of genReqId', async () => {
    const started = await start({ fastify: { genReqId: () => 'made-here' } });

    expect(await refuse(started)).toEqual({ answered: 'made-here', logged: 'made-here' });
  });

  it('is a new one where requestIdHeader took a strange one from the client', async () => {
    const started = await start({ fastify: { requestIdHeader: 'x-correlation' } });

    for (const id of ['x'.repeat(500), 'a"b', 'a b', 'a=b', 'a\tb']) {
      const { answered, logged } = await refuse(started, { 'x-correlation': id });
      expect(answered).toMatch(NEW_ID);
      expect(logged).toBe(answered);
    }
  });

  it('is a new one where genReqId makes one with a line break', async () => {
    const fastify = { genReqId: () => 'planted\r\nSet-Cookie: x=y' };
    const { answered, logged } = await refuse(await start({ fastify }));

    expect(answered).toMatch(NEW_ID);
    expect(logged).toBe(answered);
  });

  it('is the one a hook of Fastify put into the answer', async () => {
    const started = await start({
      configure: (nest) => {
        const server = nest.getHttpAdapter().getInstance() as Server;
        server.addHook('onRequest', async (_, reply) => {
          reply.header('x-request-id', 'from-a-hook');
        });
      },
    });

    expect(await refuse(started)).toEqual({ answered: 'from-a-hook', logged: 'from-a-hook' });
  });
});
