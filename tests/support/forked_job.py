"""What `python` and `snakemake` are where `forked_jobs` starts jobs: ask for one, or be Python if it is another."""

import json
import os
import socket
import sys

if __name__ == "__main__":
    words = sys.argv[1:]
    own = os.environ.get("NOT_FORKED")
    forked = words[0].endswith(".py") or words[:2] == ["-m", "snakemake"]
    if not forked or (own and any(f"{own}.py" in word or word == own for word in words)):
        os.execv(sys.executable, [sys.executable, *words])
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("\0" + os.environ["FORKED_JOBS"])
        # Slurm's processes descend from its daemon, their forks do not: nobody is to take these for orphans.
        dropped = {"FOXNAS_RUN"} if "SLURM_JOB_ID" in os.environ else set()
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        request = json.dumps([words, environment]).encode()
        sent = socket.send_fds(server, [request], [os.open(".", os.O_RDONLY), 0, 1, 2])
        server.sendall(request[sent:])
        server.shutdown(socket.SHUT_WR)
        sys.exit(int(server.recv(9)))
