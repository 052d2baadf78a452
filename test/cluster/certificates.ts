// The cluster's keys and certificates, made by openssl in the temporary folder, and kubeconfigs that use them.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { run } from '../../src/testbed/command.js';

/** What a certificate says. */
export interface Identity {
  /** File name without extension. */
  readonly name: string;
  readonly user: string;
  readonly groups?: readonly string[];
  /** DNS names and addresses of a server, as openssl writes them: `DNS:localhost`, `IP:127.0.0.1`. */
  readonly names?: readonly string[];
}

/** Where the keys are; the certificate authority is `ca`, keys of service account tokens are `service-accounts`. */
export class Certificates {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  key(name: string): string {
    return `${this.directory}/${name}.key`;
  }

  certificate(name: string): string {
    return `${this.directory}/${name}.crt`;
  }

  /** The authority and the keys of service accounts. */
  async create(): Promise<void> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    await this.#newKey('ca');
    const subject = ['-subj', '/CN=cluster-ca', '-days', '30', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
    const out = ['-key', this.key('ca'), '-out', this.certificate('ca')];
    await run(['openssl', 'req', '-x509', '-new', '-sha256', ...out, ...subject]);
    await this.#newKey('service-accounts');
    await run([
      'openssl',
      'pkey',
      '-in',
      this.key('service-accounts'),
      '-pubout',
      '-out',
      `${this.directory}/service-accounts.pub`,
    ]);
  }

  /** A certificate that is both a client's and, with names, a server's. */
  async issue({ name, user, groups = [], names = [] }: Identity): Promise<void> {
    await this.#newKey(name);
    const request = `${this.directory}/${name}.csr`;
    const extensions = `${this.directory}/${name}.ext`;
    const subject = `${groups.map((group) => `/O=${group}`).join('')}/CN=${user}`;
    await run(['openssl', 'req', '-new', '-key', this.key(name), '-subj', subject, '-out', request]);
    const alternatives = names.length === 0 ? '' : `subjectAltName=${names.join(',')}\n`;
    writeFileSync(extensions, `extendedKeyUsage=clientAuth,serverAuth\nkeyUsage=digitalSignature\n${alternatives}`);
    const authority = [
      '-CA',
      this.certificate('ca'),
      '-CAkey',
      this.key('ca'),
      '-CAserial',
      `${this.directory}/${name}.srl`,
      '-CAcreateserial',
    ];
    const out = ['-in', request, '-extfile', extensions, '-out', this.certificate(name), '-days', '30', '-sha256'];
    await run(['openssl', 'x509', '-req', ...authority, ...out]);
  }

  /** A kubeconfig with everything in it. Returns its path. */
  writeKubeconfig(name: string, server: string): string {
    const data = (path: string): string => readFileSync(path).toString('base64');
    const cluster = { server, 'certificate-authority-data': data(this.certificate('ca')) };
    const user = { 'client-certificate-data': data(this.certificate(name)), 'client-key-data': data(this.key(name)) };
    const path = `${this.directory}/${name}.kubeconfig`;
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'harness', cluster }],
      users: [{ name, user }],
      contexts: [{ name: 'harness', context: { cluster: 'harness', user: name } }],
      'current-context': 'harness',
    };
    writeFileSync(path, stringify(config), { mode: 0o600 });
    return path;
  }

  async #newKey(name: string): Promise<void> {
    await run([
      'openssl',
      'genpkey',
      '-algorithm',
      'EC',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-out',
      this.key(name),
    ]);
    chmodSync(this.key(name), 0o600);
  }
}
