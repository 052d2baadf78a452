// What kube-proxy has options or conntrack rules for, as packets show it: who is local, who is masqueraded, what is invalid.
import { expect, it } from 'vitest';
import { resetAnswer } from '../../support/answers.js';
import type { TestDatapath } from '../../support/datapath.js';
import type { Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { parseFrame } from '../../support/packet-text.js';
import { type Addresses, type Device, FAMILIES, from, into, NODE_PORT } from '../../support/world.js';

const CLIENT = 40_000;
const BACKEND = 8080;
const setups = { island: {}, flat: { config: { island: Uint8Array.of(0, 0) } } };

describeDatapath({ name: 'kube-proxy', file: import.meta.filename, setups }, (get, setup) => {
  for (const [family, w] of FAMILIES) {
    testLocality(family, w);
    testInvalid(family, w);
  }

  function testLocality(family: string, w: Addresses): void {
    /** Pods of this node get pod b, who is outside gets the pod of the other node. */
    function divide({ maps }: TestDatapath): void {
      const sets = [1, 2].map((generation) => ({ generation, backend_count: 1 }));
      maps.services.set({ address: w.vip, port: 80, protocol: 6 }, { id: 7, flags: 0, affinity: 0, sets });
      maps.backends.set({ service_id: 7, generation: 1, slot: 0 }, { address: w.b, port: BACKEND });
      maps.backends.set({ service_id: 7, generation: 2, slot: 0 }, { address: w.far, port: BACKEND });
    }
    const ask = (device: Device, source: string) => {
      const sent = from(device).ip({ source, destination: w.vip }).tcp({ source: CLIENT, destination: 80 });
      return parseFrame(get().run(device, sent).bytes);
    };

    it(`${family}: K32: who is local is known by the device, not by address ranges or names of interfaces`, () => {
      divide(get());
      expect(ask('a', w.a)?.destination).toBe(w.b);
      expect(ask('uplink', w.remote)?.destination).toBe(w.far);
      // An address of a pod, but from the wire: there is no range to be inside of.
      expect(ask('uplink', w.nobody)?.destination).toBe(w.far);
      // An address of outside, but of a pod's device: not even sent on.
      const spoofed = from('a').ip({ source: w.remote, destination: w.vip }).tcp({ source: 1, destination: 80 });
      expect(get().run('a', spoofed).verdict).toBe('drop');
    });

    it(`${family}: K32: there is no masquerade-all: an outsider is seen by a backend of this node as itself`, () => {
      get().setService([{ address: w.vip, port: 80, protocol: 6 }], [{ address: w.b, port: BACKEND }]);
      expect(ask('uplink', w.remote)?.source).toBe(w.remote);
      // Translated are those whose answers would miss this node, or pass the translation that they need.
      expect([ask('a', w.a)?.source, ask('uplink', w.far)?.source]).toEqual([w.node, w.node]);
    });
  }

  function testInvalid(family: string, w: Addresses): void {
    const frontend = { source: w.remote, destination: w.node };
    const says = (fields: object, payload = 'late') =>
      from('b')
        .ip({ source: w.b, destination: w.remote })
        .tcp({ source: BACKEND, destination: CLIENT, ...fields })
        .payload(payload);
    const heard = (fields: object, payload = 'late') =>
      from('b')
        .ip({ source: w.node, destination: w.remote, ttl: 63 })
        .tcp({ source: NODE_PORT, destination: CLIENT, ...fields })
        .payload(payload);

    function connect(): void {
      get().setService([{ address: w.node, port: NODE_PORT, protocol: 6 }], [{ address: w.b, port: BACKEND }]);
      const client = (fields: object): Packet =>
        from('uplink')
          .ip(frontend)
          .tcp({ source: CLIENT, destination: NODE_PORT, ...fields });
      const arrives = into('b').ip({ source: w.remote, destination: w.b, ttl: 63 });
      const syn = { source: CLIENT, destination: BACKEND, seq: 100 };
      expectOutcome(get().run('uplink', client({ seq: 100 })), 'redirect', arrives.tcp(syn));
      const answer = { flags: 'SA', seq: 5000, ack: 101 };
      expectOutcome(get().run('b', says(answer, '')), 'redirect', heard(answer, ''));
      get().run('uplink', client({ flags: 'A', seq: 101, ack: 5001 }));
    }

    it.each([
      ['far behind the window', { flags: 'PA', seq: 4_290_000_000, ack: 101 }],
      ['far ahead of it', { flags: 'PA', seq: 5001 + 2_000_000_000, ack: 101 }],
      ['that acknowledges what was never sent', { flags: 'A', seq: 5001, ack: 3_000_000_000 }],
      ['with a second SYN', { flags: 'SA', seq: 77, ack: 101 }],
      ['without any flag', { flags: '', seq: 5001, ack: 0 }],
      ['with all flags', { flags: 'FSRPAU', seq: 5001, ack: 101 }],
      ['after FIN of both sides', { flags: 'PA', seq: 5003, ack: 102 }],
    ])(`${family}: K40: a segment %s reaches the client by the frontend's name, or not at all`, (name, fields) => {
      connect();
      if (name.startsWith('after')) {
        get().run('b', says({ flags: 'FA', seq: 5001, ack: 101 }, ''));
        const fin = { source: CLIENT, destination: NODE_PORT, flags: 'FA', seq: 101, ack: 5002 };
        get().run('uplink', from('uplink').ip(frontend).tcp(fin));
      }
      expectOutcome(get().run('b', says(fields)), 'redirect', heard(fields));
    });

    it(`${family}: K40: a reset of anybody leaves what comes after it translated, too`, () => {
      connect();
      const reset = { source: CLIENT, destination: NODE_PORT, flags: 'R', seq: 4_000_000_000 };
      get().run('uplink', from('uplink').ip(frontend).tcp(reset));
      const fields = { flags: 'PA', seq: 5001, ack: 101 };
      expectOutcome(get().run('b', says(fields)), 'redirect', heard(fields));
    });

    it(`${family}: K40: a segment of a connection that nobody knows any more`, () => {
      connect();
      for (const [key] of [...get().maps.flows.scan()]) get().maps.flows.delete(key);
      const late = says({ flags: 'PA', seq: 5001, ack: 101 });
      // An island lets nothing out untranslated: the backend learns that the connection is over.
      if (setup === 'island') return expectOutcome(get().run('b', late), 'redirect', resetAnswer('b', late));
      // In a flat network the pod's address is as good as any: it leaves as what it is.
      const fields = { source: BACKEND, destination: CLIENT, flags: 'PA', seq: 5001, ack: 101 };
      const leaves = from('b').ip({ source: w.b, destination: w.remote, ttl: 63 }).tcp(fields).payload('late');
      return expectOutcome(get().run('b', late), 'redirect', leaves);
    });
  }
});
