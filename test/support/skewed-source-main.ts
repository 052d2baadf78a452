// `skewed-source-main.js KUBECONFIG`: a cluster source that says when it is synced, until standard input ends.
import { pino } from 'pino';
import { ClusterSource } from '../../src/agent/cluster/cluster-source.js';
import { connect } from '../../src/kubernetes/connect.js';

const [kubeconfig = ''] = process.argv.slice(2);
const log = pino({ base: null }, pino.destination({ dest: 1, sync: true }));
const source = new ClusterSource({ connection: await connect(kubeconfig), node: 'skewed', log });
void source.start(() => undefined).then(() => log.info({ now: new Date().toISOString() }, 'synced'));
process.stdin.on('close', () => void source.close().then(() => process.exit())).resume();
