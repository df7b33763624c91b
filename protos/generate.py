"""Generates the Python stubs of the protos into the repository, and the descriptor set that `buf` checks.

Run by `make protos`. The source of `buf/validate/validate.proto` is in no Python package, but its descriptor is inside
protovalidate: it is written out first, and protoc reads it in place of the source.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from google.protobuf import descriptor_pb2
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
VALIDATE = "buf/validate/validate.proto"


def validate_descriptor() -> bytes:
    """Returns a FileDescriptorSet with validate.proto and the well-known types that it imports."""
    files = [descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())]
    for name in files[0].dependency:
        module = __import__(name.removesuffix(".proto").replace("/", ".") + "_pb2", fromlist=["DESCRIPTOR"])
        files.append(descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
    return descriptor_pb2.FileDescriptorSet(file=reversed(files)).SerializeToString()


def protoc(*arguments: str) -> None:
    """Runs protoc; ends the program with its status when it fails."""
    done = subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], cwd=PROTOS, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)


def main(image: Path | None) -> None:
    """Writes the stubs, and the descriptor set with source comments to `image` when one is asked for."""
    common = resources.files("google").joinpath("..")
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("transship/**/*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        validate = Path(scratch, "validate.binpb")
        validate.write_bytes(validate_descriptor())
        inputs = (f"-I{PROTOS}", f"-I{common}", f"--descriptor_set_in={validate}")
        protoc(*inputs, f"--python_out={ROOT}", f"--pyi_out={ROOT}", *sources)
        services = [name for name in sources if "\nservice " in (PROTOS / name).read_text()]
        protoc(*inputs, f"--grpc_python_out={ROOT}", f"--mypy_grpc_out=quiet:{ROOT}", *services)
        protoc(*inputs, f"--python_out={ROOT}", f"--pyi_out={ROOT}", VALIDATE)
        if image is not None:
            protoc(*inputs, "--include_source_info", "--include_imports", f"--descriptor_set_out={image}", *sources)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None)
