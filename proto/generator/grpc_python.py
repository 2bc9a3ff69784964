"""A protoc plugin that generates gRPC's Python stubs and their types, for files with services only.

grpcio-tools has its generator compiled into its own protoc, so that protoc is run over the descriptors that
buf has compiled. protoc-gen-mypy_grpc would add a stub without a module for every file without services.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """The stubs (`_pb2_grpc.py`) and their types (`_pb2_grpc.pyi`) of the files that have services."""
    response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    wanted = set(request.file_to_generate)
    names = sorted(file.name for file in request.proto_file if file.name in wanted and file.service)
    if not names:
        return response
    del request.file_to_generate[:]
    request.file_to_generate.extend(names)
    response.error = _add_stubs(request, response)
    if not response.error:
        response.MergeFrom(_types(request))
        response.ClearField("error")
    return response


def _add_stubs(request: CodeGeneratorRequest, response: CodeGeneratorResponse) -> str:
    """Adds the stubs to the response; returns what went wrong, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        out.mkdir()
        descriptors = Path(folder, "descriptors.binpb")
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        options = [f"--descriptor_set_in={descriptors}", f"--grpc_python_out={out}"]
        if protoc.main(["protoc", *options, *request.file_to_generate]) != 0:
            return f"protoc failed for {', '.join(request.file_to_generate)}"
        for path in sorted(out.rglob("*.py")):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text(encoding="utf-8"))
    return ""


def _types(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """What protoc-gen-mypy_grpc, which is installed beside this Python, answers to the request."""
    plugin = Path(sys.executable).with_name("protoc-gen-mypy_grpc")
    done = subprocess.run([plugin], input=request.SerializeToString(), stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own generator
    return CodeGeneratorResponse.FromString(done.stdout)


if __name__ == "__main__":
    answer = generate(CodeGeneratorRequest.FromString(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(answer.SerializeToString())
