"""Who may work for a run: only workers that are like the process that started it."""

from __future__ import annotations

from distributed import Client

from engine.clusters.executing import PATIENCE, in_time, lost
from engine.clusters.workers import Fit, different, software, unfit


def check(client: Client) -> None:
    """Refuse workers that are not like this process, now and, for as long as they live, later.

    Raises:
        PlanError: naming the worker and what differs.
        StoppedError: a worker was lost at that moment, or does not answer.
    """
    wanted = software()
    try:
        for name, why in in_time(PATIENCE, lambda: client.run(unfit, wanted)).items():
            # The BLAS of a worker is limited by the plugin, below.
            if why := [one for one in why if "BLAS" not in one]:
                raise different(name, why)
        in_time(PATIENCE, lambda: client.register_plugin(Fit(wanted)))
    except (ModuleNotFoundError, AttributeError) as error:
        raise different("of this cluster", [f"it cannot import footfall ({error})"]) from error
    except TimeoutError:
        raise lost(f"a worker has not answered for {PATIENCE:.0f} s while connecting") from None
    except OSError as error:
        raise lost(f"a worker was lost while connecting ({error})") from error
