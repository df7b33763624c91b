"""A registry of our own for tests and demonstrations: faithful, counted, and able to misbehave."""

from oci_client.testing import effects, products
from oci_client.testing.auth import BasicAuth, BearerAuth, NoAuth
from oci_client.testing.behaviour import Behaviour
from oci_client.testing.blob import BytesBlob, SyntheticBlob, digest_of
from oci_client.testing.content import BuiltManifest, an_artifact, an_image, an_index, index_of
from oci_client.testing.effects import LocationForm, Stall
from oci_client.testing.faults import Match, Rule
from oci_client.testing.messages import Action
from oci_client.testing.network import PretendedNetwork
from oci_client.testing.registry import FakeRegistry, serve_in_thread

__all__ = [
    "Action",
    "BasicAuth",
    "BearerAuth",
    "Behaviour",
    "BuiltManifest",
    "BytesBlob",
    "FakeRegistry",
    "LocationForm",
    "Match",
    "NoAuth",
    "PretendedNetwork",
    "Rule",
    "Stall",
    "SyntheticBlob",
    "an_artifact",
    "an_image",
    "an_index",
    "digest_of",
    "effects",
    "index_of",
    "products",
    "serve_in_thread",
]
