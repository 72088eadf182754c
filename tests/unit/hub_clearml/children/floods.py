"""A child that says much more than anybody asked for."""

import sys

sys.stdin.readline()
while True:
    sys.stdout.write("x" * 65536)
