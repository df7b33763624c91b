"""Jobs as protobuf and back."""

from datetime import UTC, datetime

import pytest

from jobservice import convert
from jobservice.domain import Job, JobStatus
from jobservice.transfer import ArtifactReference, Outcome, ReferenceResult, TransferOptions
from tests.jobs import OPTIONS, a_copy
from transship.job.v1 import job_pb2 as pb


@pytest.mark.parametrize("options", [TransferOptions(), OPTIONS])
def test_a_spec_comes_back_as_it_went(options: TransferOptions) -> None:
    spec = a_copy("a", options=options)
    job = Job(spec=spec, status=JobStatus(key="a"), create_time=datetime(2026, 1, 1, tzinfo=UTC))

    assert convert.spec_from_pb(convert.job_to_pb(job).spec) == spec


def test_without_options_everything_is_copied_and_no_more() -> None:
    spec = convert.spec_from_pb(pb.JobSpec(key="a", replicate=pb.ReplicateWork(source_repository="library/nginx")))

    assert spec.work.options == TransferOptions()  # type: ignore[union-attr]  # a replication


@pytest.mark.parametrize(
    ("reference", "there"),
    [
        (ArtifactReference(tag="1", digest="sha256:a"), "1"),
        (ArtifactReference(tag="1", destination_tag="app-1"), "app-1"),
        (ArtifactReference(digest="sha256:a"), ""),
    ],
)
def test_a_result_tells_both_tags(reference: ArtifactReference, there: str) -> None:
    result = ReferenceResult(reference=reference, outcome=Outcome.COPIED)

    [told] = convert.status_to_pb(JobStatus(key="a", results=(result,))).results

    assert (told.tag, told.digest, told.destination_tag) == (reference.tag, reference.digest, there)
