/** Imports the package and tells which files that loaded. */
import { createRequire, register } from 'node:module';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';

const { port1, port2 } = new MessageChannel();
register('./loaded-packages-hooks.mjs', {
  parentURL: import.meta.url,
  data: { port: port2 },
  transferList: [port2],
});

await import('nest-jwt-hardening');

const files = new Set();
for (let received; (received = receiveMessageOnPort(port1)) !== undefined;) {
  files.add(received.message);
}
// What CommonJS modules require among themselves passes no hook.
for (const path of Object.keys(createRequire(import.meta.url).cache)) files.add(`file://${path}`);
process.send({ files: [...files] }, () => process.exit());
