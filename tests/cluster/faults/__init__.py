"""A cluster of five nodes under faults, and a ledger of what it promised.

    python -m tests.cluster.faults --faults 200 --seed 7

Each node is a process of its own in a network namespace of its own, with two disks. Writers and readers go on all the
time through every proxy. One fault after the other is chosen: a node is killed, hangs, is cut off from all others or
from some, a disk is wiped, a bit turns over. The next one comes when the last has healed. At the end every byte, every
listing and every total is compared with the ledger, through every proxy and on every disk.
"""
