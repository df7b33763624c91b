"""Images out of a seed."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

from benchmarks.cases import SCENARIOS, TITLES, scenarios_with
from benchmarks.corpus import Sizes, changed, many_repositories, same_image
from benchmarks.layers import a_layer, a_layer_in_file, an_image
from benchmarks.runner import turned

SIZES = Sizes(repositories=3, tags=2, same_image_repositories=4, same_image_bytes=4000)


def test_a_layer_is_a_tar_of_that_size() -> None:
    layer = a_layer(1, 5000)
    assert isinstance(layer.blob.content, bytes)
    plain = gzip.decompress(layer.blob.content)

    assert layer.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert archive.getmembers()[0].size == 5000


def test_the_seed_makes_the_layer(tmp_path: Path) -> None:
    """In a file it is the same as in memory."""
    assert a_layer(1, 5000).blob.digest == a_layer_in_file(tmp_path / "layer", 1, 5000).blob.digest
    assert a_layer(1, 5000).blob.digest != a_layer(2, 5000).blob.digest


def test_a_manifest_names_its_blobs() -> None:
    image = an_image((a_layer(1, 10),), name="x")
    manifest = json.loads(image.manifest)

    assert [manifest["config"]["digest"], manifest["layers"][0]["digest"]] == [blob.digest for blob in image.blobs]


def test_repositories_share_three_layers(tmp_path: Path) -> None:
    """Six tags: a config and a layer each, and the three."""
    corpus = many_repositories(SIZES, tmp_path)

    assert (len(corpus.repositories), corpus.tag_count, len(corpus.blobs)) == (3, 6, 6 * 2 + 3)


def test_one_image_is_in_all_repositories(tmp_path: Path) -> None:
    corpus = same_image(SIZES, tmp_path)

    assert (corpus.tag_count, len(corpus.blobs)) == (4, 5)


def test_a_change_is_of_one_tag(tmp_path: Path) -> None:
    before = many_repositories(SIZES, tmp_path)
    after = changed(before, 1)
    differing = [
        (repository, tag)
        for repository, tags in before.images.items()
        for tag, image in tags.items()
        if image.manifest != after.images[repository][tag].manifest
    ]

    assert differing == [("repo-00", "v0")]


def test_every_case_has_a_title_and_a_scenario() -> None:
    assert [step.case for each in SCENARIOS for step in each.steps] == list(TITLES)
    assert len(scenarios_with(frozenset({"c", "d"}))) == 1


def test_every_round_begins_with_another() -> None:
    assert [turned("abc", number)[0] for number in range(4)] == ["a", "b", "c", "a"]
