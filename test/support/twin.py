# Real sockets for the twin test: a server, and a client that does one thing and prints what came of it as JSON.
#   twin.py serve ADDRESS OTHER          TCP on 7000, UDP on 7001 of both addresses, until its stdin ends
#   twin.py quiet DEVICE                 checksums in software: what is captured is what is on the wire
#   twin.py ask SCENARIO SERVER OTHER    OTHER is a second address of the server
import ctypes
import fcntl
import hashlib
import json
import random
import socket
import struct
import sys
import threading
import time

TCP_PORT, UDP_PORT, CLOSED_PORT = 7000, 7001, 7009
BULK = 300_000
MSG_ERRQUEUE = 0x2000
ERRNO = {111: 'ECONNREFUSED', 113: 'EHOSTUNREACH', 101: 'ENETUNREACH', 90: 'EMSGSIZE', 13: 'EACCES', 104: 'ECONNRESET',
         110: 'ETIMEDOUT', 71: 'EPROTO', 92: 'ENOPROTOOPT'}


def family_of(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


def pattern(size, seed=1):
    return random.Random(seed).randbytes(size)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def name_of(error):
    return ERRNO.get(error, str(error))


# --- server

def read_line(connection):
    line = b''
    while not line.endswith(b'\n'):
        part = connection.recv(1)
        if not part:
            break
        line += part
    return line.decode().split()


def read_all(connection, size):
    parts = []
    while size > 0:
        part = connection.recv(min(size, 65536))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b''.join(parts)


later = {}


def serve_tcp(connection, peer):
    with connection:
        command, *words = read_line(connection) or ['']
        if command == 'who':
            connection.sendall(f'{peer[0]} {peer[1]}\n'.encode())
        elif command == 'sum':
            connection.sendall(digest(read_all(connection, int(words[0]))).encode() + b'\n')
        elif command == 'give':
            connection.sendall(pattern(int(words[0])))
        elif command == 'later':
            connection.sendall(json.dumps(later.get(words[0], 'nothing')).encode() + b'\n')
        elif command == 'reset':
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def accept_tcp(listener):
    while True:
        threading.Thread(target=serve_tcp, args=listener.accept(), daemon=True).start()


def serve_udp(server, address, other):
    while True:
        data, peer = server.recvfrom(65536)
        if data.startswith(b'who'):
            server.sendto(f'you are {peer[0]} {peer[1]:5d}'.encode(), peer)
        elif data.startswith(b'port'):
            with bound(address, 7002, socket.SOCK_DGRAM) as another:
                another.sendto(b'from another port', peer)
        elif data.startswith(b'address'):
            with bound(other, 7002, socket.SOCK_DGRAM) as another:
                another.sendto(b'from another address', peer)
        elif data.startswith(b'later'):
            threading.Thread(target=serve_later, args=(server, peer, data), daemon=True).start()
        else:
            server.sendto(data, peer)


def serve_later(server, peer, data):
    """By the same socket, so that the flow is known; errors are looked for on it."""
    time.sleep(0.3)
    server.sendto(b'anybody there?', peer)
    later[data.decode().split()[1]] = wait_error(server)


def bound(address, port, kind):
    one = socket.socket(family_of(address), kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port:
        one.bind((address, port))
    return one


def serve(addresses):
    for address, other in (addresses, addresses[::-1]):
        listener = bound(address, TCP_PORT, socket.SOCK_STREAM)
        listener.listen(64)
        threading.Thread(target=accept_tcp, args=(listener,), daemon=True).start()
        server = bound(address, UDP_PORT, socket.SOCK_DGRAM)
        queue_errors(server)
        if ':' in address:
            without_checksums(server, 102)
        threading.Thread(target=serve_udp, args=(server, address, other), daemon=True).start()
    print('ready', flush=True)
    sys.stdin.read()


# --- what the network says

def queue_errors(one):
    if one.family == socket.AF_INET:
        one.setsockopt(socket.IPPROTO_IP, 11, 1)
    else:
        one.setsockopt(socket.IPPROTO_IPV6, 25, 1)


def never_fragment(one):
    if one.family == socket.AF_INET:
        one.setsockopt(socket.IPPROTO_IP, 10, 2)
    else:
        one.setsockopt(socket.IPPROTO_IPV6, 23, 2)


def without_checksums(one, direction):
    """SO_NO_CHECK; with IPv6 UDP_NO_CHECK6_TX (101) or UDP_NO_CHECK6_RX (102)."""
    if one.family == socket.AF_INET:
        one.setsockopt(socket.SOL_SOCKET, 11, 1)
    else:
        one.setsockopt(socket.IPPROTO_UDP, direction, 1)


def set_hops(one, hops):
    if one.family == socket.AF_INET:
        one.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
    else:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)


def read_error(one):
    """The next error of the queue: errno, ICMP type and code, who said it, and the MTU; None when there is none."""
    try:
        payload, control, _, target = one.recvmsg(65536, 1024, MSG_ERRQUEUE)
    except OSError:
        return None
    for _, _, data in control:
        error, origin, kind, code, _, info, _ = struct.unpack('=IBBBBII', data[:16])
        if origin not in (2, 3):
            continue
        offender = data[16:]
        six = origin == 3
        by = socket.inet_ntop(family_of('::' if six else ''), offender[8:24] if six else offender[4:8])
        about = f'{target[0]} {target[1]}'
        return {'errno': name_of(error), 'icmp': f'{kind}/{code}', 'by': by, 'mtu': info, 'quoted': digest(payload)[:8],
                'about': about}
    return None


def wait_error(one, seconds=2.5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = read_error(one)
        if found is not None:
            return found
        time.sleep(0.01)
    return 'silence'


# --- client

def connect(address, port=TCP_PORT, source=0):
    one = bound_client(address, socket.SOCK_STREAM, source)
    one.settimeout(5)
    one.connect((address, port))
    return one


def bound_client(address, kind, source):
    one = socket.socket(family_of(address), kind)
    one.settimeout(2.5)
    if source:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(('::' if ':' in address else '0.0.0.0', source))
    return one


def tcp_ask(address, line, source=0):
    with connect(address, source=source) as one:
        one.sendall(line.encode() + b'\n')
        words = read_line(one)
        # Until the server has closed: who closes first cannot use its port again.
        one.recv(1)
        return words


def request(server, other):
    words = tcp_ask(server, 'who', 5001)
    return {'answered': len(words) == 2, 'address': words[0], 'port kept': words[1] == '5001'}


def upload(server, other):
    data = pattern(BULK)
    with connect(server) as one:
        one.sendall(f'sum {BULK}\n'.encode() + data)
        return {'intact': read_line(one) == [digest(data)]}


def download(server, other):
    with connect(server) as one:
        one.sendall(f'give {BULK}\n'.encode())
        return {'intact': digest(read_all(one, BULK)) == digest(pattern(BULK)), 'end': one.recv(1) == b''}


def refused(server, other):
    try:
        connect(server, CLOSED_PORT)
        return {'result': 'connected'}
    except OSError as error:
        return {'result': name_of(error.errno)}


def cut_off(server, other):
    with connect(server) as one:
        one.sendall(b'reset\n')
        try:
            return {'result': str(one.recv(10))}
        except OSError as error:
            return {'result': name_of(error.errno)}


def again(server, other):
    """The same port twice, when the server has closed first."""
    results = []
    for _ in range(3):
        words = tcp_ask(server, 'who', 5002)
        results.append(len(words))
    return {'results': results}


def udp_client(server, source=0):
    one = bound_client(server, socket.SOCK_DGRAM, source)
    queue_errors(one)
    one.connect((server, UDP_PORT))
    return one


def udp_try(one, data):
    try:
        one.send(data)
        return digest(one.recv(65536))
    except OSError as error:
        return name_of(error.errno) if error.errno else 'silence'


def echo(server, other):
    results = {}
    with udp_client(server) as one:
        for size in (0, 1, 2, 63, 512, 1200):
            data = pattern(size, size)
            results[f'{size} bytes'] = udp_try(one, data) == digest(data)
    return results


def large(server, other):
    with udp_client(server) as one:
        data = pattern(8000)
        return {'intact': udp_try(one, data) == digest(data)}


def unsummed(server, other):
    with udp_client(server) as one:
        without_checksums(one, 101)
        data = pattern(100)
        return {'intact': udp_try(one, data) == digest(data)}


def udp_refused(server, other):
    with bound_client(server, socket.SOCK_DGRAM, 0) as one:
        queue_errors(one)
        one.connect((server, CLOSED_PORT))
        one.send(b'anybody there?')
        return {'said': wait_error(one)}


def expired(hops):
    def ask(server, other):
        with udp_client(server) as one:
            set_hops(one, hops)
            one.send(b'how far')
            return {'said': wait_error(one)}
    return ask


def tcp_expired(server, other):
    one = bound_client(server, socket.SOCK_STREAM, 0)
    with one:
        set_hops(one, 2)
        queue_errors(one)
        one.settimeout(3)
        try:
            one.connect((server, TCP_PORT))
            return {'result': 'connected'}
        except OSError as error:
            said = read_error(one) or {}
            return {'result': name_of(error.errno), **{key: said.get(key) for key in ('icmp', 'by', 'about')}}


def too_big(server, other):
    with udp_client(server) as one:
        never_fragment(one)
        one.send(pattern(1400))
        said = wait_error(one)
        try:
            one.send(pattern(1400))
            second = 'sent'
        except OSError as error:
            second = name_of(error.errno)
        level, option = (socket.IPPROTO_IP, 14) if one.family == socket.AF_INET else (socket.IPPROTO_IPV6, 24)
        mtu = one.getsockopt(level, option)
        fitting = pattern(mtu - (28 if one.family == socket.AF_INET else 48))
        return {'said': said, 'second': second, 'mtu': mtu, 'fitting': udp_try(one, fitting) == digest(fitting)}


def unreachable(server, other):
    """Addresses that the router knows to be unreachable, and to be prohibited."""
    results = {}
    for last in ('66', '67'):
        address = server[:-1] + last
        with bound_client(address, socket.SOCK_DGRAM, 0) as one:
            queue_errors(one)
            one.connect((address, UDP_PORT))
            one.send(b'anybody there?')
            results[f'udp {last}'] = wait_error(one)
        with bound_client(address, socket.SOCK_STREAM, 0) as one:
            queue_errors(one)
            try:
                one.connect((address, TCP_PORT))
                results[f'tcp {last}'] = 'connected'
            except OSError as error:
                results[f'tcp {last}'] = name_of(error.errno)
    return results


def mapping(server, other):
    """One socket, two remotes: which port each of them sees."""
    with bound_client(server, socket.SOCK_DGRAM, 5003) as one:
        seen = []
        for address in (server, other):
            one.sendto(b'who', (address, UDP_PORT))
            seen.append(one.recv(100).decode().split()[2:])
    return {'same port': seen[0] == seen[1], 'port kept': seen[0][1] == '5003'}


def filtering(server, other):
    """Who else may send to the port that a socket sends from."""
    results = {}
    for what in ('port', 'address'):
        with bound_client(server, socket.SOCK_DGRAM, 0) as one:
            one.sendto(what.encode(), (server, UDP_PORT))
            try:
                results[f'from another {what}'] = one.recv(100).decode()
            except OSError:
                results[f'from another {what}'] = 'silence'
    return results


def gone(server, other):
    """The server answers a client that has left: what the server hears."""
    with bound_client(server, socket.SOCK_DGRAM, 5005) as one:
        one.sendto(b'later gone', (server, UDP_PORT))
    time.sleep(0.6)
    with connect(server) as one:
        one.sendall(b'later gone\n')
        heard = json.loads(one.makefile().readline())
    if isinstance(heard, dict):
        heard['about'] = heard['about'].split()[0]
    return {'heard': heard}


SCENARIOS = {
    'request': request, 'upload': upload, 'download': download, 'refused': refused, 'cut off': cut_off, 'again': again,
    'echo': echo, 'large': large, 'unsummed': unsummed, 'udp refused': udp_refused, 'expired at the node': expired(1),
    'expired at the router': expired(2), 'tcp expired': tcp_expired, 'too big': too_big, 'unreachable': unreachable,
    'mapping': mapping, 'filtering': filtering, 'gone': gone,
}


def quiet(device):
    """ETHTOOL_STXCSUM off, by SIOCETHTOOL."""
    value = ctypes.create_string_buffer(struct.pack('=II', 0x17, 0), 8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, 0x8946, struct.pack('16sP16x', device.encode(), ctypes.addressof(value)))


def main(argv):
    command, *words = argv
    if command == 'serve':
        serve(words)
    elif command == 'quiet':
        quiet(words[0])
    else:
        scenario, server, other = words
        print(json.dumps(SCENARIOS[scenario](server, other)))


main(sys.argv[1:])
