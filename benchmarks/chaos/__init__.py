"""What becomes of runs to which bad things happen: `scripts/chaos`, `python -m benchmarks.chaos`.

A seeded sequence of events, each on a run of its own of a small SYNTHETIC world: something is
killed, fails or is damaged; the same command is given again until the run is complete; then every
number must be that of a run to which nothing happened, and nothing may be left behind.

    faults.py     errors of the operating system, made inside processes that know nothing of it
    processes.py  the command line, schedulers and workers as processes that can be killed
    places.py     where run folders lie: on a disk, on a small disk, in an object store
    slurm.py      runs submitted to a SLURM of their own
    events.py     the kinds of event
    judging.py    what has to hold afterwards
    telling.py    the table and the JSON

Processes are forked from one that has imported everything, so that an event takes seconds; what
recovery costs is told without the seconds that Python takes to start.
"""
