// The Helm chart says what deploy/kustomize says, object by object, and its values reach their places. No cluster is needed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { ROOT } from '../../src/testbed/files.js';

const DEPLOY = `${ROOT}/deploy`;
const CHART = `${DEPLOY}/helm/isthmus`;
const NAMESPACE = 'isthmus-system';
const CAPABILITIES = ['--set', 'security.profile=Capabilities'];

/** KUBEBUILDER_ASSETS goes before PATH. */
function find(program: string): string | undefined {
  const folders = [process.env.KUBEBUILDER_ASSETS ?? '', ...(process.env.PATH ?? '').split(delimiter)];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

const helm = find('helm');
const kubectl = find('kubectl');
const missing = [helm === undefined ? 'helm' : [], kubectl === undefined ? 'kubectl' : []].flat().join(' and ');
const reason = missing === '' ? '' : ` (skipped: no ${missing} in KUBEBUILDER_ASSETS or PATH)`;

interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy?: string;
  readonly resources?: object;
  readonly volumeMounts: readonly { readonly name: string }[];
  readonly livenessProbe?: { readonly httpGet: { readonly port: number } };
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly template: {
      readonly metadata: { readonly annotations?: Readonly<Record<string, string>>; readonly labels: object };
      readonly spec: Readonly<Record<string, unknown>> & {
        readonly initContainers: readonly Container[];
        readonly containers: readonly Container[];
        readonly volumes: readonly { readonly name: string }[];
      };
    };
  };
}

/** Standard error has what helm says of symbolic links, too. */
function run(
  program: string | undefined,
  ...args: string[]
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(program ?? '', args, { encoding: 'utf8' });
}

function objects(text: string): Manifest[] {
  const all = parseAllDocuments(text).map((document) => document.toJS() as Manifest | null);
  return all.filter((one) => one !== null);
}

function template(...args: string[]) {
  return run(helm, 'template', 'isthmus', CHART, '--namespace', NAMESPACE, ...args);
}

function render(...args: string[]): Manifest[] {
  const { status, stdout, stderr } = template(...args);
  expect(status, stderr).toBe(0);
  return objects(stdout);
}

function one(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.find((manifest) => manifest.kind === kind);
  if (found === undefined) throw new Error(`no ${kind}`);
  return found;
}

function podOf(manifests: readonly Manifest[]) {
  const { spec } = one(manifests, 'DaemonSet');
  if (spec === undefined) throw new Error('a DaemonSet without spec');
  return spec.template;
}

const byName = (a: { name: string }, b: { name: string }): number => a.name.localeCompare(b.name);

/** Without what the two tools do differently by design: the namespace itself, and how a change of settings rolls the agents. */
function comparable(manifests: readonly Manifest[]): Map<string, Manifest> {
  const text = JSON.stringify(manifests.filter(({ kind }) => kind !== 'Namespace'));
  const same = JSON.parse(text.replaceAll(/"isthmus-[a-z0-9]{10}"/g, '"isthmus"')) as Manifest[];
  for (const { spec } of same) {
    if (spec?.template === undefined) continue;
    const { metadata, spec: pod } = spec.template;
    delete (metadata as { annotations?: unknown }).annotations;
    // Lists with names for keys: their order says nothing.
    (pod.volumes as { name: string }[]).sort(byName);
    for (const { volumeMounts } of pod.containers) (volumeMounts as { name: string }[]).sort(byName);
  }
  return new Map(same.map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest]));
}

describe.skipIf(missing !== '')(`the Helm chart${reason}`, () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ist-chart-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function kustomize(path: string): Manifest[] {
    const { status, stdout, stderr } = run(kubectl, 'kustomize', path);
    expect(status, stderr).toBe(0);
    return objects(stdout);
  }

  /** An overlay with the component on top. */
  function withCapabilities(overlay: string): string {
    const path = join(folder, overlay);
    mkdirSync(path, { recursive: true });
    const at = (place: string): string => relative(path, `${DEPLOY}/kustomize/${place}`);
    const text = stringify({ resources: [at(`overlays/${overlay}`)], components: [at('components/capabilities')] });
    writeFileSync(join(path, 'kustomization.yaml'), text);
    return path;
  }

  test.each(['island', 'flat', 'dual-stack', 'ipv6-only'])(
    'says the same as the overlay %s, object by object',
    (name) => {
      const values = ['--values', `${DEPLOY}/helm/examples/${name}.yaml`];
      const ours = kustomize(`${DEPLOY}/kustomize/overlays/${name}`);
      expect(ours.length).toBeGreaterThan(7);
      expect(comparable(render(...values))).toEqual(comparable(ours));
      expect(comparable(render(...values, ...CAPABILITIES))).toEqual(comparable(kustomize(withCapabilities(name))));
    },
  );

  test('with its own values it is the base, with an island', () => {
    const base = kustomize(`${DEPLOY}/kustomize/base`);
    const image = 'ghcr.io/isthmus-dev/isthmus:0.1.0';
    const wanted = JSON.parse(JSON.stringify(base).replaceAll('"image":"isthmus"', `"image":"${image}"`)) as Manifest[];
    const own = render().filter(({ kind }) => kind !== 'ClusterNetwork');
    expect(comparable(own)).toEqual(comparable(wanted));
  });

  test('it has the definitions of our kinds', () => {
    const definitions = render('--include-crds').filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(definitions.map(({ metadata }) => metadata.name).sort()).toEqual([
      'clusternetworks.isthmus.dev',
      'egresspools.isthmus.dev',
      'podpools.isthmus.dev',
    ]);
  });

  test('it is packed whole: what is linked is in the archive', () => {
    const packed = run(helm, 'package', CHART, '--destination', folder);
    expect(packed.status, packed.stderr).toBe(0);
    const archive = join(folder, 'isthmus-0.1.0.tgz');
    const rendered = run(helm, 'template', 'isthmus', archive, '--namespace', NAMESPACE);
    expect(rendered.status, rendered.stderr).toBe(0);
    expect(rendered.stderr).toBe('');
    expect(comparable(objects(rendered.stdout))).toEqual(comparable(render()));
  });

  test('helm finds nothing to complain of', () => {
    const { status, stdout } = run(helm, 'lint', '--strict', CHART);
    expect(status, stdout).toBe(0);
  });

  test('values reach their places', () => {
    const values = {
      image: { repository: 'registry.test/isthmus', digest: `sha256:${'a'.repeat(64)}`, pullPolicy: 'Always' },
      imagePullSecrets: [{ name: 'pull' }],
      apiServer: { host: '2001:db8::10', port: 443 },
      cgroup: '/host/cgroup/unified',
      logLevel: 'debug',
      metrics: { expose: true, port: 9000 },
      settings: { ISTHMUS_FLOW_ENTRIES: '262144' },
      resources: { limits: { memory: '1Gi' } },
      nodeSelector: { pool: 'a' },
      tolerations: [],
      affinity: { nodeAffinity: {} },
      priorityClassName: '',
      podAnnotations: { 'a/b': 'c' },
      podLabels: { team: 'net' },
    };
    writeFileSync(join(folder, 'values.yaml'), stringify(values));
    const manifests = render('--values', join(folder, 'values.yaml'));
    expect(one(manifests, 'ConfigMap').data).toMatchObject({
      ISTHMUS_CGROUP: '/host/cgroup/unified',
      ISTHMUS_FLOW_ENTRIES: '262144',
      ISTHMUS_LOG_LEVEL: 'debug',
      ISTHMUS_METRICS_BIND_ADDRESS: '0.0.0.0:9000',
      ISTHMUS_SOURCE: 'kubernetes',
      KUBERNETES_SERVICE_HOST: '2001:db8::10',
      KUBERNETES_SERVICE_PORT: '443',
    });
    const { metadata, spec } = podOf(manifests);
    expect(metadata).toMatchObject({
      annotations: { 'a/b': 'c' },
      labels: { team: 'net', 'app.kubernetes.io/name': 'isthmus' },
    });
    const { imagePullSecrets, nodeSelector, affinity } = values;
    expect(spec).toMatchObject({ imagePullSecrets, nodeSelector });
    expect(spec.affinity).toEqual(affinity);
    expect(spec).not.toHaveProperty('tolerations');
    expect(spec).not.toHaveProperty('priorityClassName');
    for (const container of [...spec.initContainers, ...spec.containers]) {
      expect(container).toMatchObject({
        image: `registry.test/isthmus@${values.image.digest}`,
        imagePullPolicy: 'Always',
      });
    }
    const [agent] = spec.containers;
    expect(agent?.resources).toMatchObject(values.resources);
    expect(agent?.livenessProbe?.httpGet.port).toBe(9000);
  });

  test('a change of a setting rolls the agents, and nothing else does', () => {
    const checksum = (...args: string[]): string | undefined =>
      podOf(render(...args)).metadata.annotations?.['checksum/settings'];
    expect(checksum()).toBe(checksum('--set', 'clusterNetwork.spec.clusterID=c2'));
    expect(checksum()).not.toBe(checksum('--set', 'logLevel=debug'));
  });

  test('without a ClusterNetwork of its own there is none', () => {
    expect(render('--set', 'clusterNetwork.create=false').map(({ kind }) => kind)).not.toContain('ClusterNetwork');
  });

  test.each([
    ['a value that there is not', 'loglevel=debug', /loglevel/],
    ['a level that there is not', 'logLevel=loud', /logLevel/],
    ['a profile that there is not', 'security.profile=Secure', /profile/],
    ['a scheme in the address of the API server', 'apiServer.host=https://a', /host/],
    ['a cluster without pods', 'clusterNetwork.spec.ipv4=null,clusterNetwork.spec.ipv6=null', /ipv4/],
    ['a setting that is none of the agent', 'settings.FOO=1', /FOO/],
  ])('the schema refuses %s', (_, change, wanted) => {
    const { status, stderr } = template('--set', change);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(wanted);
  });

  test('every value that is documented is in the schema', () => {
    const values = parse(run(helm, 'show', 'values', CHART).stdout) as object;
    const schema = parse(run('cat', `${CHART}/values.schema.json`).stdout) as { properties: object };
    expect(Object.keys(schema.properties).filter((name) => name !== 'global')).toEqual(Object.keys(values));
  });
});
