import { Logger } from '@nestjs/common';
import { config as rxjs } from 'rxjs';

import { type SecurityEvent, SecurityEvents } from '../../lib/events/security-events.js';
import { breakLog, captureLog, type LogLine } from './captured-log.js';

const AT = new Date(Date.UTC(2026, 10, 22));

const signing: SecurityEvent<'key.signing'> = {
  type: 'key.signing',
  at: AT,
  kid: 'key-1',
  algorithm: 'ES256',
};
const retired: SecurityEvent<'key.retired'> = { ...signing, type: 'key.retired' };

let events: SecurityEvents;
let log: readonly LogLine[];

beforeEach(() => {
  log = captureLog();
  events = new SecurityEvents();
});

describe('on', () => {
  it('calls back with the very event, for its own type only', () => {
    const heard: SecurityEvent[] = [];
    events.on('key.signing', (event) => heard.push(event));
    events.emit(retired);
    events.emit(signing);
    expect(heard).toEqual([signing]);
    expect(heard[0]).toBe(signing);
  });

  it('calls every listener of a type, in the order they came, each time', () => {
    const heard: string[] = [];
    events.on('key.signing', () => heard.push('first'));
    events.on('key.signing', () => heard.push('second'));
    events.emit(signing);
    events.emit(signing);
    expect(heard).toEqual(['first', 'second', 'first', 'second']);
  });

  it('returns what ends this one subscription, also when called twice', () => {
    const listener = jest.fn();
    const other = jest.fn();
    const unsubscribe = events.on('key.signing', listener);
    events.on('key.signing', other);
    unsubscribe();
    unsubscribe();
    events.emit(signing);
    expect(listener).not.toHaveBeenCalled();
    expect(other).toHaveBeenCalledTimes(1);
  });

  it('treats one function that listens twice as two subscriptions', () => {
    const listener = jest.fn();
    const unsubscribe = events.on('key.signing', listener);
    events.on('key.signing', listener);
    events.emit(signing);
    unsubscribe();
    events.emit(signing);
    expect(listener).toHaveBeenCalledTimes(3);
  });

  it('lets a listener end subscriptions during an event without skipping others', () => {
    const heard: string[] = [];
    const unsubscribe = events.on('key.signing', () => {
      heard.push('once');
      unsubscribe();
    });
    events.on('key.signing', () => heard.push('always'));
    events.emit(signing);
    events.emit(signing);
    expect(heard).toEqual(['once', 'always', 'always']);
  });

  it('tells a listener that came during an event only of the next one', () => {
    let calls = 0;
    const listenAgain = (): void => {
      // Bounded, so that a delivery that never ends is a red test and not a hanging one.
      if (++calls < 100) events.on('key.signing', listenAgain);
    };
    events.on('key.signing', listenAgain);
    events.emit(signing);
    expect(calls).toBe(1);
  });

  it('answers to nothing but the name of a type', () => {
    const listener = jest.fn();
    events.on('constructor' as 'key.signing', listener);
    events.emit(signing);
    expect(listener).not.toHaveBeenCalled();
  });
});

describe('a listener that fails (a failing sink never changes a verdict, SEMANTICS 8)', () => {
  it.each([
    ['an Error', new RangeError('secret-of-the-listener'), 'RangeError'],
    ['a text', 'secret-of-the-listener', 'string'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'object'],
  ])('by throwing %s keeps neither the emitter nor other listeners from the event', (...row) => {
    const [, thrown, kind] = row;
    const after = jest.fn();
    const observer = jest.fn();
    events.on('key.signing', () => {
      // oxlint-disable-next-line typescript/only-throw-error -- an application may throw anything
      throw thrown;
    });
    events.on('key.signing', after);
    events.asObservable().subscribe(observer);
    expect(() => events.emit(signing)).not.toThrow();
    expect(after).toHaveBeenCalledTimes(1);
    expect(observer).toHaveBeenCalledTimes(1);
    // The log says which and how, not what: an error of the application can hold anything.
    expect(log).toEqual([
      {
        level: 'error',
        context: 'JwtHardening',
        text: `a listener of key.signing failed (${kind})`,
      },
    ]);
  });

  it('together with a logger that fails, too, changes nothing', () => {
    const after = jest.fn();
    breakLog();
    events.on('key.signing', () => {
      throw new Error('the listener');
    });
    events.on('key.signing', after);
    expect(() => events.emit(signing)).not.toThrow();
    expect(after).toHaveBeenCalledTimes(1);
  });

  it('keeps its subscription', () => {
    let calls = 0;
    events.on('key.signing', () => {
      calls++;
      throw new Error('again');
    });
    events.emit(signing);
    events.emit(signing);
    expect(calls).toBe(2);
  });

  it('later, by a rejected promise, does not end the process', async () => {
    // Jest reports an unhandled rejection as a failure of this test.
    events.on('key.signing', async () => {
      await Promise.resolve();
      throw new RangeError('secret-of-the-listener');
    });
    events.emit(signing);
    await new Promise(setImmediate);
    expect(log.map(({ text }) => text)).toEqual(['a listener of key.signing failed (RangeError)']);
  });
});

describe('asObservable', () => {
  it('carries all events of all types, in order, to every subscriber', () => {
    const first: SecurityEvent[] = [];
    const second: SecurityEvent[] = [];
    events.asObservable().subscribe((event) => first.push(event));
    events.asObservable().subscribe((event) => second.push(event));
    events.emit(signing);
    events.emit(retired);
    expect(first).toEqual([signing, retired]);
    expect(second).toEqual(first);
  });

  it('does not replay what happened before the subscription, and ends with it', () => {
    const heard: SecurityEvent[] = [];
    events.emit(signing);
    const subscription = events.asObservable().subscribe((event) => heard.push(event));
    events.emit(retired);
    subscription.unsubscribe();
    events.emit(signing);
    expect(heard).toEqual([retired]);
  });

  it('is no way to forge an event or to end the stream for others', () => {
    const stream = events.asObservable();
    expect(stream).not.toHaveProperty('next');
    expect(stream).not.toHaveProperty('complete');
    expect(stream).not.toHaveProperty('error');
  });

  it('keeps an observer that throws from others, from listeners and from the emitter', async () => {
    const before = rxjs.onUnhandledError;
    // Without this hook RxJS throws on a timer of its own, as it does for every observable.
    const reported = new Promise((resolve) => {
      rxjs.onUnhandledError = resolve;
    });
    const other = jest.fn();
    const listener = jest.fn();
    events.asObservable().subscribe(() => {
      throw new RangeError('an observer of the application');
    });
    events.asObservable().subscribe(other);
    events.on('key.signing', listener);
    expect(() => events.emit(signing)).not.toThrow();
    expect(other).toHaveBeenCalledTimes(1);
    expect(listener).toHaveBeenCalledTimes(1);
    await expect(reported).resolves.toBeInstanceOf(RangeError);
    rxjs.onUnhandledError = before;
  });
});

it('the logger of this suite is the one of Nest', () => {
  new Logger('Other').warn('heard');
  expect(log).toEqual([{ level: 'warn', context: 'Other', text: 'heard' }]);
});
