"""Writes entries to journald by its native protocol. Standard input: per line a JSON list of [name, value in base64]."""
import array, base64, fcntl, json, os, socket, struct, sys

# Longer than a datagram may be: then the entry goes as a sealed memory file.
DATAGRAM = 100_000
ADD_SEALS, ALL_SEALS = 1033, 15

def main():
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.connect(sys.argv[1])
    for line in sys.stdin:
        entry = b""
        for name, text in json.loads(line):
            value = base64.b64decode(text)
            entry += name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
        if len(entry) <= DATAGRAM:
            sender.send(entry)
            continue
        memory = os.memfd_create("entry", os.MFD_ALLOW_SEALING)
        os.write(memory, entry)
        fcntl.fcntl(memory, ADD_SEALS, ALL_SEALS)
        sender.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))])
        os.close(memory)

main()
