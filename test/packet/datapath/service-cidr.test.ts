// Addresses that only services can have: other ports of a cluster IP, and cluster IPs that no service has.
import { cidrBytes, formatAddress, maskBytes } from '../../../src/model/address.js';
import { icmpAnswer, resetAnswer } from '../../support/answers.js';
import type { TestDatapath } from '../../support/datapath.js';
import { aService, aSlice, backends } from '../../support/objects.js';
import { describeDatapath, testCases } from '../../support/packet-case.js';
import { programServices } from '../../support/program-services.js';
import { FAMILIES, from } from '../../support/world.js';

const CIDRS = ['10.96.0.0/16', 'fd00:96::/112'];
const NONE = { address: '::', mask: '::' };
const prefixes = CIDRS.map((cidr) => {
  const { bytes, length } = cidrBytes(cidr);
  return { address: formatAddress(bytes), mask: formatAddress(maskBytes(length)) };
});
const config = { service_cidrs: [...prefixes, NONE, NONE], service_cidr_count: 2 };

describeDatapath({ name: 'service CIDR', file: import.meta.filename, setups: { guarded: { config } } }, (get) => {
  for (const [family, w] of FAMILIES) {
    const nobody = w.vip.replace(/10$/, '99');
    const given = (datapath: TestDatapath) =>
      programServices(datapath, {
        services: [aService('web', { clusterIPs: [w.vip] })],
        slices: [aSlice('s', 'web', { http: backends(w.b.includes(':') ? `[${w.b}]:80` : `${w.b}:80`) })],
        network: { serviceCIDRs: CIDRS },
      });
    testCases(
      get,
      (['a', 'uplink'] as const).flatMap((device) => {
        const source = device === 'a' ? w.a : w.remote;
        const undefinedPort = from(device).ip({ source, destination: w.vip });
        const unallocated = from(device).ip({ source, destination: nobody });
        const tcp = { source: 5, destination: 81 };
        const drops = { DROP_NO_SERVICE: 1 } as const;
        const refused = { from: device, given, verdict: 'redirect', drops } as const;
        return [
          {
            name: `K16 ${family}: another TCP port of a cluster IP resets, from ${device}`,
            in: undefinedPort.tcp(tcp),
            out: resetAnswer(device, undefinedPort.tcp(tcp)),
            ...refused,
          },
          {
            name: `K16 ${family}: another UDP port of a cluster IP is unreachable, from ${device}`,
            in: undefinedPort.udp(tcp).payload('x'),
            out: icmpAnswer(device, undefinedPort.udp(tcp).payload('x'), { kind: 'portUnreachable', from: w.vip }),
            ...refused,
          },
          {
            name: `K16 ${family}: the port of another protocol is another port, from ${device}`,
            in: undefinedPort.udp({ ...tcp, destination: 80 }).payload('x'),
            out: icmpAnswer(device, undefinedPort.udp({ ...tcp, destination: 80 }).payload('x'), {
              kind: 'portUnreachable',
              from: w.vip,
            }),
            ...refused,
          },
          {
            name: `K16 ${family}: a cluster IP that no service has is dropped, from ${device}`,
            from: device,
            given,
            in: unallocated.tcp(tcp),
            verdict: 'drop',
            drops,
          },
        ] as const;
      }),
    );
  }
});
