// What is known of the objects of one kind, in whatever order it comes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KindStore } from '../../src/source/kubernetes/kind-store.js';
import { observe } from '../../src/source/kubernetes/observed.js';

const node = (name: string, version: number, address: string = '192.0.2.1') =>
  observe('Node', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, resourceVersion: String(version), managedFields: [{ manager: 'kubelet' }] },
    status: { addresses: [{ type: 'InternalIP', address }], images: [{ names: ['a'] }] },
  });

const contents = (store: KindStore) => ({
  objects: [...store.objects].sort(([a], [b]) => (a < b ? -1 : 1)),
  problems: store.problems,
});

describe('events', () => {
  interface Step {
    readonly name: string;
    readonly address: string | undefined;
  }
  const step = fc.record<Step>({
    name: fc.constantFrom('a', 'b', 'c'),
    address: fc.option(fc.constantFrom('192.0.2.1', '192.0.2.2', '192.0.2.3'), { nil: undefined }),
  });

  test('in any order and any number of times they lead to what a list says at last', () => {
    const shuffled = fc.array(step, { maxLength: 12 }).chain((steps) => {
      const versions = steps.map((each, index) => ({ ...each, version: index + 95 }));
      // Each at least once, in any order, with repetitions.
      const events = fc.shuffledSubarray([...versions, ...versions], { minLength: versions.length });
      return fc.record({ versions: fc.constant(versions), events });
    });
    fc.assert(
      fc.property(shuffled, ({ versions, events }) => {
        const store = new KindStore('Node');
        const all = [...events, ...versions.filter((each) => !events.includes(each))];
        for (const { name, address, version } of all) {
          if (address === undefined) store.remove(node(name, version));
          else store.put(node(name, version, address));
        }
        const last = new Map(versions.map((each) => [each.name, each]));
        const listed = new KindStore('Node');
        listed.replace(
          [...last.values()].flatMap(({ name, address, version }) =>
            address === undefined ? [] : [node(name, version, address)],
          ),
        );
        expect(contents(store)).toEqual(contents(listed));
      }),
    );
  });

  test('an older state of what is there or gone is no news', () => {
    const store = new KindStore('Node');
    expect(store.put(node('a', 99, '192.0.2.1'))).toBe(true);
    expect(store.put(node('a', 100, '192.0.2.2'))).toBe(true);
    expect(store.put(node('a', 99, '192.0.2.1'))).toBe(false);
    expect(store.remove(node('a', 98))).toBe(false);
    expect(store.remove(node('a', 101))).toBe(true);
    expect(store.put(node('a', 100, '192.0.2.2'))).toBe(false);
    expect(store.objects.size).toBe(0);
  });

  test('a list is the truth, also with older versions', () => {
    const store = new KindStore('Node');
    store.replace([node('a', 500, '192.0.2.1'), node('b', 501)]);
    expect(store.replace([node('a', 40, '192.0.2.9')])).toBe(true);
    expect(store.objects.get('a')).toMatchObject({ addresses: ['192.0.2.9'] });
    expect(store.objects.has('b')).toBe(false);
  });
});

describe('what does not change', () => {
  test('a new version with the same content is the same object in the same map', () => {
    const store = new KindStore('Node');
    store.replace([node('a', 1), node('b', 2)]);
    const before = store.objects;
    expect(store.put(node('a', 3))).toBe(false);
    expect(store.replace([node('a', 4), node('b', 2)])).toBe(false);
    expect(store.objects).toBe(before);
  });

  test('nothing of an object is kept that the model does not have', () => {
    const store = new KindStore('Node');
    store.put(node('a', 1));
    expect(JSON.stringify([...store.objects])).not.toMatch(/kubelet|images/);
  });
});

describe('an object that is broken', () => {
  test('keeps its last good state, is named once, and hurts no other', () => {
    const store = new KindStore('Node');
    store.replace([node('a', 1), node('b', 2)]);
    expect(store.put(node('a', 3, 'not-an-address'))).toBe(true);
    expect(store.objects.get('a')).toMatchObject({ addresses: ['192.0.2.1'] });
    const problem = {
      where: 'Node a',
      object: 'Node a',
      reason: "status.addresses[0].address: not an IP address: 'not-an-address'",
      code: 'Invalid',
      inForce: 'the last good state of Node a',
    };
    expect(store.problems).toEqual([problem]);
    expect(store.put(node('a', 4, 'not-an-address'))).toBe(false);
    expect(store.replace([node('a', 4, 'not-an-address'), node('b', 2)])).toBe(false);
    expect(store.put(node('a', 5, '192.0.2.7'))).toBe(true);
    expect([store.problems, store.objects.size]).toEqual([[], 2]);
  });

  test('that never was good is nothing, and gone with its object', () => {
    const store = new KindStore('Node');
    store.put(node('a', 1, 'x'));
    expect(store.problems.map(({ inForce }) => inForce)).toEqual(['nothing of it']);
    expect(store.objects.size).toBe(0);
    expect(store.remove(node('a', 2))).toBe(true);
    expect(store.problems).toEqual([]);
  });
});
