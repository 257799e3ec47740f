"""Services that start workers, Kubernetes and a Dask Gateway: what is asked of them.

Not run on a real one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from distributed import Client

from engine.clusters.admitting import check
from engine.clusters.executing import Cluster, Distributed, Unwatched
from engine.clusters.spec import DEATH_TIMEOUT, Gateway, Kubernetes, bytes_of
from engine.errors import ConfigError

_WATCH = Unwatched("the pod or process at {address} ended; see its log where it ran")


def manifest(spec: Kubernetes) -> dict[str, Any]:
    """The DaskCluster that dask-kubernetes' operator makes a scheduler and workers of.

    Its schema is `kubernetes.dask.org/v1`; JSON is YAML, so `kubectl apply -f -` reads it. Nothing
    of it is encrypted. The operator and `KubeCluster` both ask for the dashboard's port.
    """
    name = spec.name
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {"name": name, "namespace": spec.namespace},
        "spec": {
            "idleTimeout": 600,
            "worker": {
                "replicas": spec.workers,
                "spec": _pod(spec, "worker", [
                    "dask", "worker", "--name", "$(DASK_WORKER_NAME)",
                    "--nthreads", str(spec.cores), "--memory-limit", str(bytes_of(spec.memory)),
                    "--death-timeout", str(DEATH_TIMEOUT), "--no-dashboard",
                ]),
            },
            "scheduler": {
                "spec": _pod(spec, "scheduler", ["dask", "scheduler"]),
                "service": {
                    "type": "ClusterIP",
                    "selector": {
                        "dask.org/cluster-name": name,
                        "dask.org/component": "scheduler",
                    },
                    "ports": [
                        {"name": "tcp-comm", "protocol": "TCP", "port": 8786,
                         "targetPort": "tcp-comm"},
                        {"name": "http-dashboard", "protocol": "TCP", "port": 8787,
                         "targetPort": "http-dashboard"},
                    ],
                },
            },
        },
    }  # fmt: skip


def _pod(spec: Kubernetes, part: str, arguments: list[str]) -> dict[str, Any]:
    size = {"cpu": str(spec.cores), "memory": f"{-(-bytes_of(spec.memory) // 2**20)}Mi"}
    container: dict[str, Any] = {"name": part, "image": spec.image, "args": arguments}
    if part == "scheduler":
        container["ports"] = [
            {"name": "tcp-comm", "containerPort": 8786, "protocol": "TCP"},
            {"name": "http-dashboard", "containerPort": 8787, "protocol": "TCP"},
        ]
    else:
        container["resources"] = {"requests": size, "limits": size}
    pod: dict[str, Any] = {"containers": [container]}
    if spec.volume is not None:
        container["volumeMounts"] = [{"name": "runs", "mountPath": spec.mount}]
        claim = {"claimName": spec.volume}
        pod["volumes"] = [{"name": "runs", "persistentVolumeClaim": claim}]
    return pod


def manifest_text(spec: Kubernetes) -> str:
    """The manifest as it would be sent."""
    return json.dumps(manifest(spec), indent=2)


def gateway_text(spec: Gateway) -> str:
    """The request to a gateway, as it would be sent."""
    asked = {"address": spec.address, "workers": spec.workers, "options": dict(spec.options)}
    return json.dumps(asked, indent=2)


@contextmanager
def kubernetes(spec: Kubernetes) -> Iterator[Cluster]:
    """Ask the operator for a cluster, and take it away at the end.

    Raises:
        ConfigError: dask-kubernetes is not installed.
    """
    operator = _optional("dask_kubernetes.operator", "kubernetes")
    with (
        operator.KubeCluster(
            custom_cluster_spec=manifest(spec), namespace=spec.namespace
        ) as cluster,
        Client(cluster) as client,
    ):
        check(client)
        yield Distributed(client, spec.slots, str(client.dashboard_link), _WATCH)


@contextmanager
def gateway(spec: Gateway) -> Iterator[Cluster]:
    """Ask a gateway for a cluster, and give it back at the end.

    Raises:
        ConfigError: dask-gateway is not installed.
    """
    module = _optional("dask_gateway", "gateway")
    with (
        module.Gateway(spec.address) as door,
        door.new_cluster(**dict(spec.options), shutdown_on_close=True) as cluster,
    ):
        cluster.adapt(minimum=spec.workers, maximum=spec.workers)
        with cluster.get_client() as client:
            check(client)
            yield Distributed(client, spec.slots, str(client.dashboard_link), _WATCH)


def _optional(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise ConfigError(
            f"this profile needs {module.partition('.')[0].replace('_', '-')}, not installed here",
            where="cluster.system",
            remedy=f"pip install 'footfall[{extra}]'",
        ) from None
