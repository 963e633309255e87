import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort, type RunningProcess, startProcess } from './processes.js';
import type { Certificate } from './tls-authority.js';
import { recordNotRun } from './witness.js';

/** A real nginx that ends TLS in front of a server of a test, set up as its manual says. */

const NGINX = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/bin/nginx'].find(existsSync);
/** njs, with which it writes certificates as RFC 9440 wants them. */
const NJS = [
  '/usr/lib/nginx/modules/ngx_http_js_module.so',
  '/usr/lib64/nginx/modules/ngx_http_js_module.so',
  '/etc/nginx/modules/ngx_http_js_module.so',
].find(existsSync);

/** `describe` where nginx and njs are installed; elsewhere the end of the run says what was not tested. */
export function describeWithNginx(name: string, suite: () => void): void {
  if (NGINX !== undefined && NJS !== undefined) {
    describe(name, suite);
    return;
  }
  recordNotRun(name, 'nginx and libnginx-mod-http-js');
  describe(`NOT RUN: ${name}`, () => {
    it('needs nginx and its module for njs', () => {
      expect([NGINX, NJS]).toContain(undefined);
    });
  });
}

export interface NginxWish {
  /** Where the server of the test listens, on 127.0.0.1. */
  readonly upstream: number;
  /** From which address it is asked, so that it can tell the proxy from anybody else. */
  readonly comesFrom: string;
  readonly certificate: Certificate;
  /** Whose client certificates count. */
  readonly clientCa: string;
  /** `optional` lets clients without one in; a wrong one is refused either way. */
  readonly verifyClient: 'on' | 'optional';
}

export interface Nginx {
  readonly port: number;
  stop(): Promise<void>;
}

const NJS_PROGRAM = `
function clientCert(request) {
  const pem = request.variables.ssl_client_raw_cert;
  if (!pem || request.variables.ssl_client_verify !== 'SUCCESS') return '';
  return ':' + pem.replace(/-----[A-Z ]+-----|\\s/g, '') + ':';
}
export default { clientCert };
`;

/** Starts it, with a folder of its own; it ends with the test file, if not before. */
export async function startNginx(wish: NginxWish): Promise<Nginx> {
  if (NGINX === undefined) throw new Error('there is no nginx on this machine');
  const folder = mkdtempSync(join(tmpdir(), 'njh-nginx-'));
  const port = await freePort();
  const write = (name: string, text: string): void =>
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  write('server.pem', wish.certificate.cert);
  write('server.key', wish.certificate.key);
  write('clients.pem', wish.clientCa);
  write('certificates.js', NJS_PROGRAM);
  write('nginx.conf', configuration(folder, port, wish));
  const server: RunningProcess = await startProcess({
    command: NGINX,
    args: ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'],
    // Said once it listens.
    readyWhen: /\[notice\].*getrlimit/,
  });
  return {
    port,
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configuration(folder: string, port: number, wish: NginxWish): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(folder, kind)};`)
    .join('\n  ');
  return `
load_module ${NJS};
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {}
http {
  ${temporary}
  access_log off;
  js_import certificates from certificates.js;
  js_set $client_cert_field certificates.clientCert;
  map $remote_addr $forwarded_element {
    ~^[0-9.]+$ "for=$remote_addr;proto=$scheme";
    ~^[0-9A-Fa-f:.]+$ "for=\\"[$remote_addr]\\";proto=$scheme";
    default "for=unknown;proto=$scheme";
  }
  map $http_forwarded $forwarded_field {
    "" $forwarded_element;
    default "$http_forwarded, $forwarded_element";
  }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    ssl_client_certificate clients.pem;
    ssl_verify_client ${wish.verifyClient};
    location / {
      proxy_pass http://127.0.0.1:${wish.upstream};
      proxy_bind ${wish.comesFrom};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header Client-Cert $client_cert_field;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Forwarded $forwarded_field;
    }
  }
}
`;
}
