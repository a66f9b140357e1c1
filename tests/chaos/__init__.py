"""Breaks workers, broker and network under load, and checks that no flag is lost.

`python -m tests.chaos --faults 200 --seed 7` breaks as fast as the group recovers;
`python -m tests.chaos --minutes 60` breaks once a minute and watches memory and descriptors.
"""
