// Attachments on the real kernel: both kinds, update in place, pins, devices that vanish.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type Attached,
  type AttachMode,
  attachCgroup,
  attachDevice,
  attachXdp,
  detachPinned,
  type XdpMode,
} from '../../src/bpf/link.js';
import { loadNative, type Native, type NativeProgram } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import { describeIsolated, mountBpffs } from '../support/isolated.js';
import { compileSample } from '../support/sample.js';

const native = loadNative();
const BIND4 = 8;

describeIsolated('links', import.meta.filename, () => {
  let object: BpfObject;
  let bpffs: string;
  let devices = 0;
  beforeAll(async () => {
    bpffs = mountBpffs();
    writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1'); // nothing but our own frames
    object = BpfObject.open(native, await compileSample());
    await object.load();
  });
  afterAll(() => object.close());

  /** A pair of devices of its own; programs are attached to the first. */
  function addDevice(): { name: string; ifindex: number; remove: () => void } {
    const name = `ist-${devices++}`;
    run('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`);
    run('ip', 'link', 'set', name, 'up');
    run('ip', 'link', 'set', `${name}p`, 'up');
    const [link] = JSON.parse(run('ip', '-json', 'link', 'show', name)) as [{ ifindex: number }];
    return { name, ifindex: link.ifindex, remove: () => run('ip', 'link', 'delete', name) };
  }

  function attach(ifindex: number, mode: AttachMode, programName = 'mark_packet'): Attached {
    const program = object.program(programName);
    try {
      return attachDevice({ native, program, ifindex, side: 'ingress', mode, pin: pinOf(ifindex) });
    } finally {
      program.close();
    }
  }

  function pinOf(ifindex: number): string {
    return join(bpffs, 'links', `mark_packet-${ifindex}`);
  }

  /** How many packets mark_packet has seen. */
  function marked(): bigint {
    using map = object.map('array');
    return map.get(0) as bigint;
  }

  /** Sends one frame from the far end and tells how many packets reached mark_packet. */
  function reached(name: string): bigint {
    const before = marked();
    run('python3', '-c', SEND, `${name}p`);
    return marked() - before;
  }

  it.each(['tcx', 'clsact'] as const)('by %s see packets, and go when they are detached', (mode) => {
    const { name, ifindex } = addDevice();
    const { link, how } = attach(ifindex, mode);
    expect([link.kind, how]).toEqual([mode, 'created']);
    expect(reached(name)).toBe(1n);
    link.detach();
    expect(reached(name)).toBe(0n);
  });

  it('use tcx when the choice is free', () => {
    const { ifindex } = addDevice();
    expect(attach(ifindex, 'auto').link.kind).toBe('tcx');
  });

  it.each(['tcx', 'clsact'] as const)('by %s stay when the process that made them lets go', (mode) => {
    const { name, ifindex } = addDevice();
    attach(ifindex, mode).link.close();
    expect(reached(name)).toBe(1n);
    expect(existsSync(pinOf(ifindex))).toBe(mode === 'tcx');
  });

  it('that are pinned are updated, not made again', () => {
    const { name, ifindex } = addDevice();
    attach(ifindex, 'auto', 'drop_packet').link.close();
    expect(reached(name)).toBe(0n);
    const { how, link } = attach(ifindex, 'auto', 'mark_packet');
    expect([how, link.kind]).toEqual(['updated', 'tcx']);
    link.close();
    expect(reached(name)).toBe(1n);
    expect(detachPinned(native, pinOf(ifindex))).toBe(true);
    expect(reached(name)).toBe(0n);
    expect(existsSync(pinOf(ifindex))).toBe(false);
    expect(detachPinned(native, pinOf(ifindex))).toBe(false);
  });

  it('by clsact are replaced, so that packets are seen once', () => {
    const { name, ifindex } = addDevice();
    attach(ifindex, 'clsact').link.close();
    attach(ifindex, 'clsact').link.close();
    expect(reached(name)).toBe(1n);
  });

  it('change from tcx to clsact without being there twice', () => {
    const { name, ifindex } = addDevice();
    attach(ifindex, 'tcx').link.close();
    attach(ifindex, 'clsact').link.close();
    expect(reached(name)).toBe(1n);
    expect(existsSync(pinOf(ifindex))).toBe(false);
  });

  it('change from clsact to tcx without being there twice', () => {
    const { name, ifindex } = addDevice();
    attach(ifindex, 'clsact').link.close();
    attach(ifindex, 'tcx').link.close();
    expect(reached(name)).toBe(1n);
  });

  it('fall back to clsact where the kernel refuses tcx, and say why', () => {
    const { name, ifindex } = addDevice();
    const refusal = Object.assign(new Error('no tcx'), { code: 'EINVAL', errno: 22, operation: 'bpf_link_create' });
    const old: Native = {
      ...native,
      attachTcx: () => {
        throw refusal;
      },
    };
    const program = object.program('mark_packet');
    const target = { native: old, program, ifindex, side: 'ingress', pin: pinOf(ifindex) } as const;
    expect(attachDevice({ ...target, mode: 'auto' })).toMatchObject({ link: { kind: 'clsact' }, fallback: refusal });
    expect(() => attachDevice({ ...target, mode: 'tcx' })).toThrow('(mode tcx): no tcx');
    program.close();
    expect(reached(name)).toBe(1n);
  });

  it('leave the filter of another program where it is', () => {
    const { ifindex } = addDevice();
    attach(ifindex, 'clsact', 'drop_packet').link.close();
    expect(() => attach(ifindex, 'clsact', 'mark_packet')).toThrow("the filter there is another's: drop_packet");
  });

  it('whose device is gone are made new', () => {
    const gone = addDevice();
    attach(gone.ifindex, 'tcx').link.close();
    gone.remove();
    const { ifindex, name } = addDevice();
    const program: NativeProgram = object.program('mark_packet');
    const pin = pinOf(gone.ifindex);
    const { how } = attachDevice({ native, program, ifindex, side: 'ingress', mode: 'auto', pin });
    program.close();
    expect(how).toBe('created');
    expect(reached(name)).toBe(1n);
  });

  it('to a device that does not exist are refused with its number', () => {
    expect(() => attach(4242, 'tcx')).toThrow('cannot attach mark_packet to ingress of device 4242 (mode tcx)');
    expect(() => attach(4242, 'auto')).toThrow(expect.objectContaining({ code: 'ENODEV' }));
  });

  /** The mode of what is attached, as iproute2 prints it, and the program's id. */
  function xdpOf(name: string): { mode: string; id: number } | undefined {
    const [link] = JSON.parse(run('ip', '-json', 'link', 'show', name)) as [
      { xdp?: { mode: number; prog: { id: number } } },
    ];
    const modes: Readonly<Record<number, string>> = { 1: 'native', 2: 'generic' };
    return link.xdp && { mode: modes[link.xdp.mode] ?? '?', id: link.xdp.prog.id };
  }

  function attachFrame(ifindex: number, mode: XdpMode): Attached {
    const program = object.program('pass_frame');
    try {
      return attachXdp({ native, program, ifindex, mode, pin: join(bpffs, 'links', `pass_frame-${ifindex}`) });
    } finally {
      program.close();
    }
  }

  it.each(['native', 'generic'] as const)('before the stack are in %s mode, pinned, updated, and taken off', (mode) => {
    const { name, ifindex } = addDevice();
    const first = attachFrame(ifindex, mode);
    expect([first.how, first.link.kind, xdpOf(name)?.mode]).toEqual(['created', 'xdp', mode]);
    first.link.close();
    const second = attachFrame(ifindex, mode);
    expect([second.how, xdpOf(name)?.mode]).toEqual(['updated', mode]);
    second.link.close();
    expect(detachPinned(native, join(bpffs, 'links', `pass_frame-${ifindex}`))).toBe(true);
    expect(xdpOf(name)).toBeUndefined();
  });

  it('before the stack are refused where another program is, which stays', () => {
    const { name, ifindex } = addDevice();
    const program = object.program('pass_frame');
    const link = native.attachXdp(program, ifindex, 2);
    const other = xdpOf(name);
    expect(other?.mode).toBe('generic');
    expect(() => attachFrame(ifindex, 'native')).toThrow(
      `cannot attach pass_frame to device ${ifindex} in native mode`,
    );
    expect(xdpOf(name)).toEqual(other);
    expect(existsSync(join(bpffs, 'links', `pass_frame-${ifindex}`))).toBe(false);
    link.close();
    program.close();
  });

  it('to a cgroup are pinned and updated', () => {
    run('mount', '-t', 'cgroup2', 'none', '/mnt'); // seen by this test only
    const own = join('/mnt', `ist-${process.pid}`);
    mkdirSync(own);
    const program = object.program('allow_bind');
    const target = { native, program, cgroup: own, attachType: BIND4, pin: join(bpffs, 'links', 'bind4') };
    try {
      expect(attachCgroup(target)).toMatchObject({ how: 'created', link: { kind: 'cgroup' } });
      expect(attachCgroup(target).how).toBe('updated');
      expect(detachPinned(native, target.pin)).toBe(true);
    } finally {
      program.close();
      rmdirSync(own);
    }
  });
});

/** A frame of an experimental protocol, which no stack answers. */
const SEND = `
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
s.send(b"\\xff" * 6 + b"\\x02\\x00\\x00\\x00\\x00\\x01" + b"\\x88\\xb5" + bytes(50))
`;

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' });
}
