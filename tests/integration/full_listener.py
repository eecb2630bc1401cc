"""Listens at a port and drops every packet that would open a connection, as a firewall between clusters does.

Usage: full_listener.py FILE

Writes the port into FILE. The kernel ignores connection attempts to a listener whose backlog is full.
"""

import socket
import sys
import time


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    while True:
        filler = socket.socket()
        filler.settimeout(0.3)
        try:
            filler.connect(listener.getsockname())
        except TimeoutError:
            break
        fillers.append(filler)
    with open(sys.argv[1], "w") as file:
        file.write(str(listener.getsockname()[1]))
    time.sleep(3600)


main()
