"""A client that costs next to nothing, to see what a broker itself can take and give.

Speaks just enough Kafka for one partition: the same batch is produced over and over, a few requests ahead of the
answers, and what is fetched is counted by the batches' headers. Records are not looked at.
"""

import socket
import struct
import time

PRODUCE, FETCH, METADATA = (0, 3), (1, 4), (3, 4)
# Requests sent ahead of the oldest answer, and bytes asked for, as librdkafka does.
AHEAD, FETCH_BYTES = 5, 1024 * 1024
HEADER = struct.Struct(">qiibIhiqqqhii")
PATIENCE_S = 30


def checksum(data):
    """CRC-32C."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(value):
    rest, out = value << 1, b""
    while rest >= 0x80:
        out, rest = out + bytes([rest & 0x7F | 0x80]), rest >> 7
    return out + bytes([rest])


def batch(size, count):
    """`count` records of `size` bytes, without keys."""
    records = []
    for number in range(count):
        # Attributes, time, offset, no key, value, no headers.
        record = b"\0\0" + varint(number) + b"\x01" + varint(size) + b"x" * size + b"\0"
        records.append(varint(len(record)) + record)
    now = int(time.time() * 1000)
    fields = (0, count - 1, now, now, -1, -1, -1, count)
    plain = HEADER.pack(0, 0, -1, 2, 0, *fields)[21:] + b"".join(records)
    return struct.pack(">qiibI", 0, len(plain) + 9, -1, 2, checksum(plain)) + plain


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


class Raw:
    """A connection, for partition 0 of a topic, which the broker makes if it is not there."""

    def __init__(self, addresses, topic):
        host, _, port = addresses.split(",")[0].rpartition(":")
        self.stream = socket.create_connection((host, int(port)), PATIENCE_S)
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.room = memoryview(bytearray(4 * FETCH_BYTES))
        self.topic = text(topic)
        self.create()

    def send(self, api, body):
        head = struct.pack(">hhih", *api, 0, -1)
        self.stream.sendall(struct.pack(">i", len(head) + len(body)) + head + body)

    def answer(self):
        """The next answer behind its correlation, in memory that the one after it takes."""
        (size,) = struct.unpack(">i", self.read(4))
        return self.read(size)[4:]

    def read(self, size):
        got = 0
        while got < size:
            came = self.stream.recv_into(self.room[got:size])
            if not came:
                raise SystemExit("expected an answer, found the end of the connection")
            got += came
        return self.room[:size]

    def create(self):
        """Asks for the topic until it is there."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.send(METADATA, struct.pack(">i", 1) + self.topic + b"\1")
            answer = bytes(self.answer())
            at = answer.rindex(self.topic)
            if answer[at - 2:at] == b"\0\0":
                return
            time.sleep(0.01)
        raise SystemExit(f"expected a topic, found error {struct.unpack('>h', answer[at - 2:at])[0]}")

    def produce(self, records, times):
        """Appends a batch some times with acks of all replicas."""
        body = struct.pack(">hhii", -1, -1, 30000, 1) + self.topic + struct.pack(">iii", 1, 0, len(records)) + records
        for sent in range(times + AHEAD):
            if sent < times:
                self.send(PRODUCE, body)
            if sent >= AHEAD:
                # Topics, the name, partitions, number.
                at = 4 + len(self.topic) + 4 + 4
                (error,) = struct.unpack_from(">h", self.answer(), at)
                if error:
                    raise SystemExit(f"expected records to be appended, found error {error}")

    def consume(self, count):
        """Fetches the first `count` records."""
        offset = 0
        while offset < count:
            ask = struct.pack(">iiiibi", -1, 500, 1, 50 * FETCH_BYTES, 0, 1)
            self.send(FETCH, ask + self.topic + struct.pack(">iiqi", 1, 0, offset, FETCH_BYTES))
            answer = self.answer()
            # Throttling, topics, the name, partitions, number, error, two offsets, aborted transactions, length.
            at = 4 + 4 + len(self.topic) + 4 + 4
            (error,) = struct.unpack_from(">h", answer, at)
            (aborted,) = struct.unpack_from(">i", answer, at + 18)
            if error or aborted > 0:
                raise SystemExit(f"expected records, found error {error} and {aborted} aborted transactions")
            rest = answer[at + 26:]
            while len(rest) >= HEADER.size:
                base, length, _, _, _, _, last, *_ = HEADER.unpack_from(rest)
                if 12 + length > len(rest):
                    break
                offset, rest = base + last + 1, rest[12 + length:]
