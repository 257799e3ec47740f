"""How fast the engine is, and against what: `scripts/bench`, or `python -m benchmarks`.

    timing.py     interleaved repeats, medians, spreads, ratios within one run
    tables.py     SYNTHETIC tables of realistic sparsity and spread, n = 120 to 9800
    bars.py       what is asked of every contender: the error model and the question
    subject.py    the engine; the only module that knows how it is called and which modes it has
    naive.py      the loop a user would write in numpy and scipy
    peers.py      other packages on the same system
    limits.py     this machine, and what it can do at best
    comparison.py, scaling.py, pipeline.py    the suites
    records.py, figures.py    JSON, Markdown and plots

No test measures time: what is timed is reported here, and nowhere required.
"""
