/** Child processes that speak by message and end with this one. */
import { fork } from 'node:child_process';

const children = new Set();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts a module of this directory. */
export function start(file, args = [], { execArgv = [] } = {}) {
  const child = fork(new URL(file, import.meta.url), args, {
    execArgv,
    // Neither debuggers nor a developer's settings may differ between the processes compared.
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'test' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  children.add(child);
  const errors = [];
  child.stderr.on('data', (chunk) => errors.push(chunk));
  child.once('exit', () => children.delete(child));
  return { pid: child.pid, ask, receive, stop };

  /** The next message, or the reason why none will come. */
  function receive() {
    return new Promise((resolve, reject) => {
      const answered = (message) => {
        child.off('exit', ended);
        resolve(message);
      };
      const ended = (code) => {
        child.off('message', answered);
        const text = Buffer.concat(errors).toString().slice(-2_000);
        reject(new Error(`${file} ${args.join(' ')} ended with ${code}\n${text}`));
      };
      child.once('message', answered).once('exit', ended);
    });
  }

  async function ask(message) {
    const answer = receive();
    child.send(message);
    return answer;
  }

  function stop() {
    return new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve();
      else child.once('exit', () => resolve()).kill('SIGKILL');
    });
  }
}
