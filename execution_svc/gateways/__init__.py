"""The other services, in our own words."""

from execution_svc.gateways.catalog import RemoteCatalog
from execution_svc.gateways.jobs import RemoteJobs
from execution_svc.gateways.policies import RemotePolicies

__all__ = ["RemoteCatalog", "RemoteJobs", "RemotePolicies"]
