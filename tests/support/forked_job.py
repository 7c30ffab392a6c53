"""What `python` and `snakemake` are where `forked_jobs` starts jobs: ask for one, or be Python if it is another."""

import json
import os
import socket
import sys

if __name__ == "__main__":
    words = sys.argv[1:]
    if not words[0].endswith(".py") and words[:2] != ["-m", "snakemake"]:
        os.execv(sys.executable, [sys.executable, *words])
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("\0" + os.environ["FORKED_JOBS"])
        request = json.dumps([words, dict(os.environ)]).encode()
        sent = socket.send_fds(server, [request], [os.open(".", os.O_RDONLY), 0, 1, 2])
        server.sendall(request[sent:])
        server.shutdown(socket.SHUT_WR)
        sys.exit(int(server.recv(9)))
